// The engine of this repository: one forward pass over kernels::Backend (cpu, reference, cuda).
#ifndef PARITY_WORKER_ENGINE_BACKEND_ENGINE_H_
#define PARITY_WORKER_ENGINE_BACKEND_ENGINE_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "kernels/backend.h"
#include "kernels/dtype.h"
#include "worker/engine/engine.h"
#include "worker/engine/model_weights.h"
#include "worker/engine/step_memory.h"
#include "worker/engine/ticket_lock.h"
#include "worker/model/gguf_file.h"
#include "worker/model/model_config.h"

namespace parity::engine {

struct EngineOptions {
  kernels::KvType kv_type = kernels::KvType::kF16;
  // Rows of the activation buffers: the longest prefill piece.
  int32_t max_step_tokens = 256;
  std::string version = "parity 0.1";  // EngineInfo.engine_version
};

// Threading: thread-safe; steps of all sessions are served one at a time, in order of arrival.
// Sessions must not outlive the engine.
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

 private:
  class SessionImpl;

  // One step of one sequence.
  struct StepRequest {
    kernels::KvCache* cache;
    int32_t first_position;
    absl::Span<const int32_t> ids;
    const ForwardOptions& options;
    Observer* observer;
    absl::Span<float> logits;
  };

  BackendEngine(std::shared_ptr<const model::GgufFile> file,
                std::unique_ptr<kernels::Backend> backend, EngineOptions options,
                model::ModelConfig config, ModelWeights weights, StepMemory memory);

  absl::Status RunStep(const StepRequest& request);
  absl::Status ComputeStep(const StepRequest& request, const Tap& tap);
  // Final norm and logits of `rows`; the last row's logits go to `logits` unless that is empty.
  absl::Status Head(const StepRows& rows, const Tap& tap, absl::Span<float> logits);
  kernels::RopeSpec Rope(int32_t layer) const;

  const std::shared_ptr<const model::GgufFile> file_;  // the weights may point into it
  const std::unique_ptr<kernels::Backend> backend_;
  const EngineOptions options_;
  const model::ModelConfig config_;
  const ModelWeights weights_;
  EngineInfo info_;
  TicketLock step_lock_;
  StepMemory memory_;  // guarded by step_lock_, as is all use of *backend_
};

}  // namespace parity::engine

#endif  // PARITY_WORKER_ENGINE_BACKEND_ENGINE_H_
