// Activation memory of an engine: allocated once, used by one step at a time.
#ifndef PARITY_WORKER_ENGINE_STEP_MEMORY_H_
#define PARITY_WORKER_ENGINE_STEP_MEMORY_H_

#include <cstdint>
#include <memory>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "kernels/backend.h"
#include "worker/engine/transformer_layer.h"
#include "worker/model/model_config.h"

namespace parity::engine {

// Threading: one step at a time.
class StepMemory {
 public:
  // Floats that Create() takes.
  static int64_t Elements(const model::ModelConfig& config, int32_t max_step_tokens);

  // RESOURCE_EXHAUSTED when the backend has no room. `backend` must outlive the object.
  static absl::StatusOr<StepMemory> Create(kernels::Backend& backend,
                                           const model::ModelConfig& config,
                                           int32_t max_step_tokens);

  // Views for a step of positions.size() rows. REQUIRES: 1..max_step_tokens rows.
  StepRows Rows(absl::Span<const int32_t> positions,
                absl::Span<const kernels::RowPlace> places) const;

  // [rows, V]. Grows at need: a single row is the rule, all rows are only for observers of logits.
  absl::StatusOr<kernels::Matrix> Logits(int64_t rows);

 private:
  StepMemory(kernels::Backend& backend, const model::ModelConfig& config, int32_t max_step_tokens,
             std::unique_ptr<kernels::Buffer> activations);

  kernels::Backend* backend_;
  int64_t width_, query_width_, kv_width_, feed_forward_, vocabulary_;
  int32_t max_step_tokens_;
  std::unique_ptr<kernels::Buffer> activations_;
  std::unique_ptr<kernels::Buffer> logits_;
};

}  // namespace parity::engine

#endif  // PARITY_WORKER_ENGINE_STEP_MEMORY_H_
