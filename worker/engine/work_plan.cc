#include "worker/engine/work_plan.h"

#include <algorithm>

#include "worker/engine/step_memory.h"

namespace parity::engine {

kernels::WorkPlan PlanWork(const model::GgufFile& file, const model::ModelConfig& config,
                           int32_t max_step_tokens, int64_t logits_rows) {
  constexpr int64_t kFloat = sizeof(float);
  const int64_t width = config.width;
  const int64_t feed_forward = config.feed_forward;
  const int64_t query_width = int64_t{config.heads} * config.head_size;
  kernels::WorkPlan plan;
  for (const model::TensorInfo& tensor : file.tensors()) {
    // Vectors become floats, matrices stay as they are.
    plan.weight_bytes += tensor.n_dims == 1 ? static_cast<int64_t>(tensor.ne[0]) * kFloat
                                            : static_cast<int64_t>(tensor.bytes.size());
  }
  plan.buffer_bytes =
      (StepMemory::Elements(config, max_step_tokens) + logits_rows * config.vocabulary) * kFloat;
  plan.most_rows = max_step_tokens;
  plan.widest_input = std::max({width, feed_forward, query_width});
  // The head is multiplied by few rows at a time.
  plan.largest_product = width * std::max(feed_forward, query_width);
  plan.heads = config.heads;
  plan.head_size = config.head_size;
  plan.most_positions = config.context_tokens;
  plan.top_rows = logits_rows;
  plan.vocabulary = config.vocabulary;
  return plan;
}

}  // namespace parity::engine
