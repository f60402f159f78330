// Chooses the next token from logits.
#ifndef PARITY_WORKER_REQUEST_SAMPLER_H_
#define PARITY_WORKER_REQUEST_SAMPLER_H_

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"

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

// Natural log of id's probability under softmax(logits). NaN when a logit is NaN. Relative error of
// the sum < 1e-6. REQUIRES: 0 <= id < logits.size().
float LogProbability(absl::Span<const float> logits, int32_t id);

// Greedy takes the first largest logit. Otherwise top_k, then top_p, then min_p cut the set (as
// llama.cpp orders them), and temperature shapes what is drawn from. The same seed gives the same
// draws on every machine. Threading: one thread.
class Sampler {
 public:
  explicit Sampler(const SamplerOptions& options) : options_(options), bits_(options.seed) {}

  // NaN logits are never chosen. FAILED_PRECONDITION when nothing else is left.
  absl::StatusOr<int32_t> Choose(absl::Span<const float> logits);

 private:
  struct Candidate {
    int32_t id;
    float logit;
    double weight;
  };
  void CutTopK();
  void CutTopPAndMinP();
  int32_t Draw();

  const SamplerOptions options_;
  std::mt19937_64 bits_;
  std::vector<Candidate> candidates_;
};

}  // namespace parity::request

#endif  // PARITY_WORKER_REQUEST_SAMPLER_H_
