#include "worker/engine/model_weights.h"

#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "kernels/dtype.h"
#include "proto/status/status_macros.h"

namespace parity::engine {
namespace {

// Loads tensors one after the other; keeps the sum of what they hold.
class Loader {
 public:
  explicit Loader(kernels::Backend& backend) : backend_(backend) {}

  absl::Status Load(const model::TensorInfo* tensor, std::unique_ptr<kernels::Weight>& out,
                    bool multiplied = true) {
    const kernels::DTypeTraits* traits = kernels::FindDType(tensor->ggml_type);
    if (traits == nullptr) {
      return absl::UnimplementedError(
          absl::StrCat(tensor->name, ": unknown type ", tensor->ggml_type));
    }
    ASSIGN_OR_RETURN(out, backend_.LoadWeight({.name = tensor->name,
                                               .dtype = traits->dtype,
                                               .rows = tensor->ne[1],
                                               .cols = tensor->ne[0],
                                               .bytes = tensor->bytes,
                                               .multiplied = multiplied}));
    resident_bytes_ += out->resident_bytes();
    return absl::OkStatus();
  }

  // An absent (null) tensor leaves `out` null.
  absl::Status Load(const model::TensorInfo* tensor, std::unique_ptr<kernels::Vector>& out) {
    if (tensor == nullptr) return absl::OkStatus();
    ASSIGN_OR_RETURN(out, backend_.LoadVector(model::VectorValues(*tensor)));
    resident_bytes_ += out->size() * static_cast<int64_t>(sizeof(float));
    return absl::OkStatus();
  }

  int64_t resident_bytes() const { return resident_bytes_; }

 private:
  kernels::Backend& backend_;
  int64_t resident_bytes_ = 0;
};

absl::Status LoadLayer(const model::LayerTensors& t, Loader& load, LayerWeights& w) {
  RETURN_IF_ERROR(load.Load(t.attn_norm, w.attn_norm));
  RETURN_IF_ERROR(load.Load(t.wq, w.wq));
  RETURN_IF_ERROR(load.Load(t.wk, w.wk));
  RETURN_IF_ERROR(load.Load(t.wv, w.wv));
  RETURN_IF_ERROR(load.Load(t.wo, w.wo));
  RETURN_IF_ERROR(load.Load(t.bq, w.bq));
  RETURN_IF_ERROR(load.Load(t.bk, w.bk));
  RETURN_IF_ERROR(load.Load(t.bv, w.bv));
  RETURN_IF_ERROR(load.Load(t.bo, w.bo));
  RETURN_IF_ERROR(load.Load(t.q_norm, w.q_norm));
  RETURN_IF_ERROR(load.Load(t.k_norm, w.k_norm));
  RETURN_IF_ERROR(load.Load(t.attn_post_norm, w.attn_post_norm));
  RETURN_IF_ERROR(load.Load(t.ffn_norm, w.ffn_norm));
  RETURN_IF_ERROR(load.Load(t.gate, w.gate));
  RETURN_IF_ERROR(load.Load(t.up, w.up));
  RETURN_IF_ERROR(load.Load(t.gate_bias, w.gate_bias));
  RETURN_IF_ERROR(load.Load(t.up_bias, w.up_bias));
  RETURN_IF_ERROR(load.Load(t.down, w.down));
  RETURN_IF_ERROR(load.Load(t.down_bias, w.down_bias));
  return load.Load(t.ffn_post_norm, w.ffn_post_norm);
}

}  // namespace

absl::StatusOr<ModelWeights> LoadWeights(const model::GgufFile& file,
                                         const model::ModelConfig& config,
                                         kernels::Backend& backend) {
  ASSIGN_OR_RETURN(const model::ModelTensors tensors, model::FindTensors(file, config));
  Loader load(backend);
  ModelWeights weights;
  RETURN_IF_ERROR(load.Load(tensors.token_embd, weights.token_embd, config.tied_embeddings));
  if (!config.tied_embeddings) RETURN_IF_ERROR(load.Load(tensors.output, weights.output_own));
  RETURN_IF_ERROR(load.Load(tensors.output_norm, weights.output_norm));
  RETURN_IF_ERROR(load.Load(tensors.rope_freqs, weights.rope_freqs));
  weights.layers.resize(tensors.layers.size());
  for (size_t i = 0; i < tensors.layers.size(); ++i) {
    RETURN_IF_ERROR(LoadLayer(tensors.layers[i], load, weights.layers[i]));
  }
  weights.resident_bytes = load.resident_bytes();
  return weights;
}

}  // namespace parity::engine
