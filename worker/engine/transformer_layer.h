// One layer of the forward pass, written once for every backend.
#ifndef PARITY_WORKER_ENGINE_TRANSFORMER_LAYER_H_
#define PARITY_WORKER_ENGINE_TRANSFORMER_LAYER_H_

#include <cstdint>
#include <memory>

#include "absl/types/span.h"
#include "kernels/backend.h"
#include "worker/engine/tap.h"
#include "worker/model/model_config.h"

namespace parity::engine {

// Weights of one layer in the backend's memory. Biases and the norms of some families are null
// where the model has none.
struct LayerWeights {
  std::unique_ptr<kernels::Vector> attn_norm;           // [D]
  std::unique_ptr<kernels::Weight> wq, wk, wv;          // [H*K, D], [G*K, D], [G*K, D]
  std::unique_ptr<kernels::Vector> bq, bk, bv;          // [H*K], [G*K], [G*K]
  std::unique_ptr<kernels::Vector> q_norm, k_norm;      // [K], per head
  std::unique_ptr<kernels::Weight> wo;                  // [D, H*K]
  std::unique_ptr<kernels::Vector> bo;                  // [D]
  std::unique_ptr<kernels::Vector> attn_post_norm;      // [D]
  std::unique_ptr<kernels::Vector> ffn_norm;            // [D]
  std::unique_ptr<kernels::Weight> gate, up;            // [F, D]
  std::unique_ptr<kernels::Vector> gate_bias, up_bias;  // [F]
  std::unique_ptr<kernels::Weight> down;                // [D, F]
  std::unique_ptr<kernels::Vector> down_bias;           // [D]
  std::unique_ptr<kernels::Vector> ffn_post_norm;       // [D]
};

// Rows of a step: views into the engine's activation memory, and where each row belongs.
struct StepRows {
  kernels::Matrix x;                           // [T, D] the residual stream
  kernels::Matrix h;                           // [T, D] normed input of a block
  kernels::Matrix q;                           // [T, H*K]
  kernels::Matrix k, v;                        // [T, G*K]
  kernels::Matrix context;                     // [T, H*K]
  kernels::Matrix o;                           // [T, D] output of a block, before the residual add
  kernels::Matrix gate;                        // [T, F], then the activation
  kernels::Matrix up;                          // [T, F]
  absl::Span<const int32_t> positions;         // [T]
  absl::Span<const kernels::RowPlace> places;  // [T]

  int64_t count() const { return static_cast<int64_t>(positions.size()); }
  // The same views without their first `skip` rows.
  StepRows From(int64_t skip) const;
};

// Computes layer `layer`. Reads all.x, and all.h, which is all.x after the layer's attn_norm; keys
// and values of every row enter the cache; what comes after them is computed for `tail` only (all,
// or its last rows, or none), whose x it leaves as the layer's output, and whose h as that output
// after `next_norm`: whatever norms it next, or null. `rope` is the layer's own. Errors are sticky
// in `ops`.
void TransformerLayer(kernels::Backend& ops, const model::ModelConfig& config,
                      const kernels::RopeSpec& rope, const LayerWeights& weights, int32_t layer,
                      const StepRows& all, const StepRows& tail, const Tap& tap,
                      const kernels::Vector* next_norm);

}  // namespace parity::engine

#endif  // PARITY_WORKER_ENGINE_TRANSFORMER_LAYER_H_
