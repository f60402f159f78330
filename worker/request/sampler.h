// Chooses the next token from logits.
#ifndef PARITY_WORKER_REQUEST_SAMPLER_H_
#define PARITY_WORKER_REQUEST_SAMPLER_H_

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "worker/engine/engine.h"

namespace parity::request {

struct SamplerOptions {
  float temperature = 0;  // 0: greedy
  int32_t top_k = 0;      // 0: all
  float top_p = 0;        // 0 or 1: all
  float min_p = 0;        // 0: none dropped
  uint64_t seed = 0;
};

// "greedy", or "temperature=.. top_k=.. top_p=.. min_p=.. seed=..".
std::string Describe(const SamplerOptions& options);

// How many of the largest logits decide alone; 0: the row does. top_p and min_p are measured by
// what top_k leaves, so they may be cut from it; without top_k they need every logit.
int32_t TopNeeded(const SamplerOptions& options);

struct Choice {
  int32_t id;
  float logit;
};

// Natural log of the probability, under the softmax of a row, of a token with this logit. NaN when
// a logit of the row is NaN, or all are -infinity.
float LogProbability(const engine::TopLogits& top, float logit);

// Greedy takes the first largest logit. Otherwise top_k, then top_p, then min_p cut the set (as
// llama.cpp orders them), and temperature shapes what is drawn from: in order of rank where top_k
// or top_p ranked it, else of ids. The same seed gives the same draws on every machine. Threading:
// one thread.
class Sampler {
 public:
  explicit Sampler(const SamplerOptions& options) : options_(options), bits_(options.seed) {}

  // NaN logits are never chosen. FAILED_PRECONDITION when nothing else is left.
  absl::StatusOr<Choice> Choose(absl::Span<const float> logits);
  // The same choice, from the row's largest. REQUIRES: there are TopNeeded(), which is not 0, or as
  // many as the row has; no more.
  absl::StatusOr<Choice> ChooseTop(const engine::TopLogits& top);

 private:
  struct Candidate {
    int32_t id;
    float logit;
    double weight = 0;
  };
  void CutTopK();
  void CutTopPAndMinP();
  // From candidates_, whose largest logit is `best`.
  Choice Draw(float best);

  const SamplerOptions options_;
  std::mt19937_64 bits_;
  std::vector<Candidate> candidates_;
};

}  // namespace parity::request

#endif  // PARITY_WORKER_REQUEST_SAMPLER_H_
