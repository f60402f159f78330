// The engine of this repository: one forward pass over kernels::Backend (cpu, reference, cuda).
#ifndef PARITY_WORKER_ENGINE_BACKEND_ENGINE_H_
#define PARITY_WORKER_ENGINE_BACKEND_ENGINE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "kernels/backend.h"
#include "kernels/dtype.h"
#include "worker/engine/engine.h"
#include "worker/engine/model_weights.h"
#include "worker/engine/step_batch.h"
#include "worker/engine/step_memory.h"
#include "worker/engine/step_queue.h"
#include "worker/engine/tap.h"
#include "worker/engine/ticket_lock.h"
#include "worker/model/gguf_file.h"
#include "worker/model/model_config.h"

namespace parity::engine {

// What one step computes.
struct StepLoad {
  int sequences;
  int64_t rows;
};

struct EngineOptions {
  kernels::KvType kv_type = kernels::KvType::kF16;
  // Rows of the activation buffers: the longest prefill piece.
  int32_t max_step_tokens = 256;
  std::string version = "parity 0.1";  // EngineInfo.engine_version
  // Told of each step before it is computed, on the thread that computes it; for load figures. May
  // be empty.
  std::function<void(const StepLoad&)> on_step;
};

// Threading: thread-safe. Forward calls of several sessions that wait at the same time are computed
// in one step (StepQueue says how they meet, StepBatch how their rows stand), a long one in pieces
// beside the others. By the backends' contract neither changes a bit of any of them. Sessions must
// not outlive the engine.
class BackendEngine : public Engine {
 public:
  // Errors: those of ReadConfig and FindTensors, prefixed by the file's name; INVALID_ARGUMENT
  // (max_step_tokens < 1); RESOURCE_EXHAUSTED.
  static absl::StatusOr<std::unique_ptr<Engine>> Create(std::shared_ptr<const model::GgufFile> file,
                                                        std::unique_ptr<kernels::Backend> backend,
                                                        EngineOptions options);

  const EngineInfo& info() const override { return info_; }
  int32_t max_step_tokens() const override { return options_.max_step_tokens; }
  bool can_substitute() const override { return true; }
  absl::StatusOr<std::unique_ptr<Session>> NewSession(int32_t capacity) override;

  // Forward calls that wait for a step.
  int64_t waiting() const { return queue_.waiting(); }

 private:
  class SessionImpl;

  BackendEngine(std::shared_ptr<const model::GgufFile> file,
                std::unique_ptr<kernels::Backend> backend, EngineOptions options,
                model::ModelConfig config, ModelWeights weights, StepMemory memory);

  // Computes one step for the sequences that `tickets` are, and sets what became of each.
  void RunStep(absl::Span<StepQueue::Ticket* const> tickets);
  // The forward pass of a step; errors are the backend's.
  absl::Status ComputeStep(StepBatch& batch);
  // All its ops. `may_stop`: it ends between the layers, with false, where nobody waits any more.
  // `logits`: [rows of the head, V], without memory where nobody wants them.
  bool Layers(StepBatch& batch, bool may_stop, const Tap& tap, kernels::Matrix logits);
  // Final norm's tap and logits. rows.h is normed.
  void Head(const StepRows& rows, const Tap& tap, kernels::Matrix logits);
  // Brings the logits of the head's rows to the sequences that want them.
  void GiveLogits(const StepBatch& batch, kernels::Matrix logits);
  kernels::RopeSpec Rope(int32_t layer) const;

  const std::shared_ptr<const model::GgufFile> file_;  // the weights may point into it
  const std::unique_ptr<kernels::Backend> backend_;
  const EngineOptions options_;
  const model::ModelConfig config_;
  const ModelWeights weights_;
  EngineInfo info_;
  const TapModel tap_model_;
  TicketLock backend_lock_;
  StepMemory memory_;  // guarded by backend_lock_, as is all use of *backend_
  StepQueue queue_;
};

}  // namespace parity::engine

#endif  // PARITY_WORKER_ENGINE_BACKEND_ENGINE_H_
