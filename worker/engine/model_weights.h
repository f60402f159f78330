// A model's weights, loaded from its GGUF file into a backend.
#ifndef PARITY_WORKER_ENGINE_MODEL_WEIGHTS_H_
#define PARITY_WORKER_ENGINE_MODEL_WEIGHTS_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "kernels/backend.h"
#include "worker/engine/transformer_layer.h"
#include "worker/model/gguf_file.h"
#include "worker/model/model_config.h"

namespace parity::engine {

// Plain data. The weights may point into the mapped file, which must outlive them.
struct ModelWeights {
  std::unique_ptr<kernels::Weight> token_embd;   // [V, D]
  std::unique_ptr<kernels::Weight> output_own;   // [V, D]; null when tied
  std::unique_ptr<kernels::Vector> output_norm;  // [D]
  std::unique_ptr<kernels::Vector> rope_freqs;   // [rope_dims/2] or null
  std::vector<LayerWeights> layers;
  int64_t resident_bytes = 0;  // beside the mapped file

  const kernels::Weight& output() const { return output_own ? *output_own : *token_embd; }
};

// Errors: those of FindTensors; UNIMPLEMENTED naming tensor and type when the backend lacks it;
// RESOURCE_EXHAUSTED.
absl::StatusOr<ModelWeights> LoadWeights(const model::GgufFile& file,
                                         const model::ModelConfig& config,
                                         kernels::Backend& backend);

}  // namespace parity::engine

#endif  // PARITY_WORKER_ENGINE_MODEL_WEIGHTS_H_
