// Complete small llama-architecture models with random weights, for tests that need a model of a
// chosen shape and type.
#ifndef PARITY_TESTS_TESTING_TINY_MODEL_H_
#define PARITY_TESTS_TESTING_TINY_MODEL_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "kernels/dtype.h"
#include "tests/testing/gguf_writer.h"

namespace parity::testing {

// Letters as in worker/model/model_config.h. Quantised types need rows of whole blocks: width,
// heads * head_size and feed_forward multiples of 32.
struct TinyModelOptions {
  int32_t layers = 2;
  int32_t width = 64;         // D
  int32_t heads = 4;          // H
  int32_t kv_heads = 2;       // G
  int32_t head_size = 0;      // K; 0: D / H, and the key_length keys are left out
  int32_t feed_forward = 96;  // F
  int32_t vocabulary = 384;   // V >= 260: 256 bytes, 4 control tokens, then merges
  int32_t context_tokens = 256;
  bool tied = true;         // no output.weight
  bool rope_freqs = false;  // rope_freqs.weight with factors 1..8
  bool biases = false;      // on q, k, v and the attention output
  float rms_epsilon = 1e-5f;
  float rope_base = 10000.0f;
  kernels::DType matrices = kernels::DType::kF32;   // attention and feed-forward weights
  kernels::DType embedding = kernels::DType::kF32;  // token_embd, and so the logits when tied
  kernels::DType output = kernels::DType::kF32;     // output.weight
  uint64_t seed = 1;
};

// Ids of the control tokens of every tiny vocabulary; byte b is token FirstByteToken + its place in
// the byte map's order.
inline constexpr int32_t kTinyEndOfText = 0;  // <|endoftext|>: bos, unknown
inline constexpr int32_t kTinyImStart = 1;    // <|im_start|>
inline constexpr int32_t kTinyImEnd = 2;      // <|im_end|>: eos
inline constexpr int32_t kTinyPad = 3;        // <|pad|>

// The metadata and tensors of a tiny model; a test may add to it before it serializes.
GgufWriter TinyModel(const TinyModelOptions& options);

// The tokenizer keys alone: gpt2 byte-level BPE with smollm's pre-tokenizer. `tokens` >= 260.
void AddTinyVocabulary(GgufWriter& writer, int32_t tokens);

// Writes TinyModel(options) to `path`.
absl::Status WriteTinyModel(const TinyModelOptions& options, const std::string& path);

// Deterministic normal deviates (sum of uniforms: the same bits on every machine).
class Deviates {
 public:
  explicit Deviates(uint64_t seed) : state_(seed) {}
  uint64_t NextBits();
  float Next();

 private:
  uint64_t state_;
};

}  // namespace parity::testing

#endif  // PARITY_TESTS_TESTING_TINY_MODEL_H_
