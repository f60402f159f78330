// The proof of a model file: the cpu engine against llama.cpp, op by op and end to end.
#ifndef PARITY_TESTS_PARITY_PROOF_H_
#define PARITY_TESTS_PARITY_PROOF_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "kernels/dtype.h"
#include "tests/parity/follow.h"
#include "tests/parity/metrics.h"
#include "tests/parity/shadow.h"
#include "tests/testing/tiny_model.h"

namespace parity::testing {

inline constexpr const char* kFamilies[] = {"llama", "qwen2", "qwen3", "gemma3"};

// A small model of the family whose matrices, embedding and head are of the type (or of what
// llama-quantize falls back to), quantised by libggml; an outlier channel in front of the products;
// sizes that are multiples of nothing more than the type asks for. The ratio of query to key/value
// heads (1, 2, 7, 9) goes round with the type, so that every family sees each.
// REQUIRES: libllama is there.
TinyModelOptions ProofModel(const std::string& family, kernels::DType dtype);

// 40 ids below 320: a prompt of 24, then 16 one by one.
Sequence ProofSequence();

// What a proof found. Unless said otherwise both sides have an F16 KV cache and native numerics.
struct Proof {
  // Shadow runs over two full captures of llama.cpp: the prompt in one, and token by token.
  int64_t values = 0;    // (checkpoint, token) pairs of the model in both
  int64_t measured = 0;  // those that both sides have
  SiteError worst;       // of all checkpoints but attn.context
  SiteError context;     // attn.context, token by token
  SiteError
      context_batch;  // attn.context, the prompt in one: .unexplained by flipped probabilities
  // Logits of all positions, end to end.
  LogitsDistance ours;   // llama.cpp against the cpu engine
  LogitsDistance floor;  // llama.cpp against itself with an F32 cache

  bool Complete() const { return values > 0 && measured == values; }
};

// UNIMPLEMENTED without libllama.
absl::StatusOr<Proof> Prove(const std::string& path, const Sequence& sequence);

// A shadow run step by step: llama.cpp takes a step, the cpu engine follows its values, the capture
// of the step is dropped. Memory is that of one step, so the context may be long. Steps of several
// tokens and of one are accounted apart; the logits of the former are left out.
struct LockstepFindings {
  ShadowFindings pieces, single;
};
absl::StatusOr<LockstepFindings> ShadowInLockstep(const std::string& path,
                                                  const Sequence& sequence);

}  // namespace parity::testing

#endif  // PARITY_TESTS_PARITY_PROOF_H_
