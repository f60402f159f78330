// Complete small models with random weights, for tests that need a model of a chosen family, shape
// and type.
#ifndef PARITY_TESTS_TESTING_TINY_MODEL_H_
#define PARITY_TESTS_TESTING_TINY_MODEL_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "kernels/dtype.h"
#include "tests/testing/gguf_writer.h"

namespace parity::testing {

// Bytes of rows of `cols` values each in a weight type: EncodeValues, or libggml's quantiser
// (ggml_quantize.h).
using Encoder = std::string (*)(kernels::DType dtype, absl::Span<const float> values, int64_t cols);
std::string EncodeByRounding(kernels::DType dtype, absl::Span<const float> values, int64_t cols);
// Blocks whose values nobody looks at: for a model of billions of weights, whose speed is measured.
using BlockSource = std::vector<uint8_t> (*)(kernels::DType dtype, int64_t rows, int64_t cols,
                                             uint32_t seed);

// Letters as in worker/model/model_config.h. A row that is no whole number of a quantised type's
// blocks gets the type that llama-quantize falls back to (FittingType).
struct TinyModelOptions {
  // "llama", "qwen2" (biases on q, k, v; H * K must be D), "qwen3" (per-head norms) or "gemma3"
  // (per-head and post norms; window and its own RoPE base on all but each window_pattern-th
  // layer).
  std::string architecture = "llama";
  int32_t layers = 2;
  int32_t width = 64;         // D
  int32_t heads = 4;          // H
  int32_t kv_heads = 2;       // G
  int32_t head_size = 0;      // K; 0: D / H, and the key_length keys are left out
  int32_t feed_forward = 96;  // F
  int32_t vocabulary = 384;   // V >= 260: 256 bytes, 4 control tokens, then merges
  int32_t context_tokens = 256;
  bool tied = true;            // no output.weight
  bool rope_freqs = false;     // rope_freqs.weight with factors 1..8
  bool biases = false;         // llama: on q, k, v and the attention output
  bool mlp_biases = false;     // llama: on gate, up and down
  float rope_scaling = 0;      // factor of linear scaling; 0: none
  int32_t window = 10;         // gemma3: positions
  int32_t window_pattern = 0;  // gemma3; 0: the key is left out, and it is 6
  float outlier = 1.0f;        // one channel of the norms in front of products is this much larger
  float rms_epsilon = 1e-5f;
  float rope_base = 10000.0f;
  kernels::DType matrices = kernels::DType::kF32;   // attention and feed-forward weights
  kernels::DType embedding = kernels::DType::kF32;  // token_embd, and so the logits when tied
  kernels::DType output = kernels::DType::kF32;     // output.weight
  // Of attn_v and ffn_down in the layers where llama-quantize's mixes (Q4_K_M ...) take more bits;
  // none: as `matrices`.
  std::optional<kernels::DType> more_bits;
  Encoder encode = EncodeByRounding;
  BlockSource blocks = nullptr;  // in place of encoded values
  uint64_t seed = 1;
};

// `dtype`, or where rows of `cols` values are no whole blocks of it, what llama-quantize takes
// instead (facts: Q4_K -> Q5_0, Q6_K -> Q8_0 ...; F16 when 32 does not divide them either).
kernels::DType FittingType(kernels::DType dtype, int64_t cols);

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
