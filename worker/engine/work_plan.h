// What an engine for a model is about to ask of its backend, before it asks.
#ifndef PARITY_WORKER_ENGINE_WORK_PLAN_H_
#define PARITY_WORKER_ENGINE_WORK_PLAN_H_

#include <cstdint>

#include "kernels/backend.h"
#include "worker/model/gguf_file.h"
#include "worker/model/model_config.h"

namespace parity::engine {

// `file` is the model of `config`, of which every tensor is loaded. logits_rows: of the logits that
// are held from the beginning.
kernels::WorkPlan PlanWork(const model::GgufFile& file, const model::ModelConfig& config,
                           int32_t max_step_tokens, int64_t logits_rows);

}  // namespace parity::engine

#endif  // PARITY_WORKER_ENGINE_WORK_PLAN_H_
