// What a model's metadata say of its forward pass: read once, proven against the tensors' shapes,
// then trusted.
#ifndef PARITY_WORKER_MODEL_MODEL_CONFIG_H_
#define PARITY_WORKER_MODEL_MODEL_CONFIG_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "kernels/backend.h"
#include "kernels/dtype.h"
#include "worker/model/gguf_file.h"

namespace parity::model {

// One way of rotating: RoPE's base and what positions are multiplied with.
struct RopeConfig {
  float base;
  float freq_scale = 1.0f;
};

// What differs from layer to layer.
struct LayerConfig {
  int32_t window = 0;  // positions seen, the own one included; 0: all before it
  int32_t rope = 0;    // index into ModelConfig::ropes
};

// Letters: D width, H heads, G kv_heads, K head_size, F feed_forward, V vocabulary.
// The family is data: the forward pass reads these fields and never the architecture's name.
struct ModelConfig {
  std::string architecture;  // "llama"
  int32_t layers;
  int32_t width;
  int32_t heads;
  int32_t kv_heads;
  int32_t head_size;
  int32_t feed_forward;
  int32_t vocabulary;
  int32_t context_tokens;
  float rms_epsilon;
  float embedding_scale = 1.0f;  // multiplies the token embeddings
  float query_scale = 1.0f;      // multiplies q after RoPE
  float attention_scale;         // multiplies q.k; query_scale * attention_scale is 1/sqrt(K)
  kernels::RopePairing rope_pairing;
  int32_t rope_dims;
  std::vector<RopeConfig> ropes;         // the first is that of layers without a window
  std::vector<LayerConfig> layer_table;  // [layers]
  kernels::Activation activation = kernels::Activation::kSilu;
  bool tied_embeddings;       // no output.weight: logits use token_embd
  bool head_norms = false;    // q and k are normed per head before RoPE
  bool post_norms = false;    // what attention and MLP give is normed before the residual add
  bool extra_biases = false;  // the output projection and the MLP may have biases
  bool rope_factors = false;  // rope_freqs.weight may be there
};

// Tensors of one layer; pointers into the file's table. Null: norms that the family has not, and
// biases that the file has not.
struct LayerTensors {
  const TensorInfo* attn_norm;
  const TensorInfo *wq, *wk, *wv, *wo;
  const TensorInfo *bq = nullptr, *bk = nullptr, *bv = nullptr, *bo = nullptr;
  const TensorInfo *q_norm = nullptr, *k_norm = nullptr;
  const TensorInfo* attn_post_norm = nullptr;
  const TensorInfo* ffn_norm;
  const TensorInfo *gate, *up, *down;
  const TensorInfo *gate_bias = nullptr, *up_bias = nullptr, *down_bias = nullptr;
  const TensorInfo* ffn_post_norm = nullptr;
};

struct ModelTensors {
  const TensorInfo* token_embd;
  const TensorInfo* output;  // == token_embd when tied
  const TensorInfo* output_norm;
  const TensorInfo* rope_freqs = nullptr;  // [rope_dims/2] F32
  std::vector<LayerTensors> layers;
};

// Reads and checks the metadata. Errors: UNIMPLEMENTED naming the architecture or feature this
// build lacks ("architecture 'mamba' is not supported; supported: llama, qwen2, qwen3, gemma3"),
// INVALID_ARGUMENT naming key, value found and what was expected.
absl::StatusOr<ModelConfig> ReadConfig(const GgufFile& file);

// Finds every tensor and proves its shape and type against the config. Errors name the tensor,
// found and expected.
absl::StatusOr<ModelTensors> FindTensors(const GgufFile& file, const ModelConfig& config);

// The type with the most bytes among 2-D tensors, "Q4_1"; "" for a vocabulary-only file.
std::string DominantWeightType(const GgufFile& file);

// Values of a 1-D F32, F16 or BF16 tensor as floats. REQUIRES: FindTensors accepted it.
std::vector<float> VectorValues(const TensorInfo& tensor);

}  // namespace parity::model

#endif  // PARITY_WORKER_MODEL_MODEL_CONFIG_H_
