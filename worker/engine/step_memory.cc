#include "worker/engine/step_memory.h"

#include <glog/logging.h>

#include <utility>

#include "proto/status/status_macros.h"

namespace parity::engine {

int64_t StepMemory::Elements(const model::ModelConfig& config, int32_t max_step_tokens) {
  const int64_t query_width = int64_t{config.heads} * config.head_size;
  const int64_t kv_width = int64_t{config.kv_heads} * config.head_size;
  // x, h, o; q, context; k, v; gate, up: see Rows().
  const int64_t per_token =
      3 * int64_t{config.width} + 2 * query_width + 2 * kv_width + 2 * int64_t{config.feed_forward};
  return per_token * max_step_tokens;
}

absl::StatusOr<StepMemory> StepMemory::Create(kernels::Backend& backend,
                                              const model::ModelConfig& config,
                                              int32_t max_step_tokens) {
  ASSIGN_OR_RETURN(auto activations, backend.NewBuffer(Elements(config, max_step_tokens)));
  return StepMemory(backend, config, max_step_tokens, std::move(activations));
}

StepMemory::StepMemory(kernels::Backend& backend, const model::ModelConfig& config,
                       int32_t max_step_tokens, std::unique_ptr<kernels::Buffer> activations)
    : backend_(&backend),
      width_(config.width),
      query_width_(int64_t{config.heads} * config.head_size),
      kv_width_(int64_t{config.kv_heads} * config.head_size),
      feed_forward_(config.feed_forward),
      vocabulary_(config.vocabulary),
      max_step_tokens_(max_step_tokens),
      activations_(std::move(activations)) {}

StepRows StepMemory::Rows(absl::Span<const int32_t> positions,
                          absl::Span<const kernels::RowPlace> places) const {
  const int64_t rows = static_cast<int64_t>(positions.size());
  CHECK(rows >= 1 && rows <= max_step_tokens_) << rows;
  CHECK_EQ(positions.size(), places.size());
  float* next = activations_->data();
  const auto take = [&](int64_t cols) {
    const kernels::Matrix matrix = {next, rows, cols};
    next += rows * cols;
    return matrix;
  };
  StepRows step;
  step.x = take(width_);
  step.h = take(width_);
  step.o = take(width_);
  step.q = take(query_width_);
  step.context = take(query_width_);
  step.k = take(kv_width_);
  step.v = take(kv_width_);
  step.gate = take(feed_forward_);
  step.up = take(feed_forward_);
  step.positions = positions;
  step.places = places;
  return step;
}

absl::StatusOr<kernels::Matrix> StepMemory::Logits(int64_t rows) {
  if (logits_ == nullptr || logits_->elements() < rows * vocabulary_) {
    logits_.reset();  // before the larger one is asked for
    ASSIGN_OR_RETURN(logits_, backend_->NewBuffer(rows * vocabulary_));
  }
  return kernels::Matrix{logits_->data(), rows, vocabulary_};
}

}  // namespace parity::engine
