#include "worker/engine/backend_engine.h"

#include <glog/logging.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "proto/status/status_macros.h"
#include "worker/engine/engine_info.h"
#include "worker/engine/tap.h"
#include "worker/engine/transformer_layer.h"

namespace parity::engine {
namespace {

absl::Status Named(const absl::Status& status, const std::string& name) {
  return absl::Status(status.code(), absl::StrCat(name, ": ", status.message()));
}

bool Stopped(const ForwardOptions& options) {
  return options.stop != nullptr && options.stop->load(std::memory_order_relaxed);
}

}  // namespace

class BackendEngine::SessionImpl : public Session {
 public:
  SessionImpl(BackendEngine& engine, std::unique_ptr<kernels::KvCache> cache)
      : engine_(engine), cache_(std::move(cache)) {}

  absl::Status Forward(absl::Span<const int32_t> ids, const ForwardOptions& options,
                       Observer* observer, absl::Span<float> logits) override {
    if (spent_) {
      return absl::FailedPreconditionError("the session ended with an error and cannot go on");
    }
    RETURN_IF_ERROR(CheckStep(ids, position_, cache_->capacity(), engine_.max_step_tokens(),
                              engine_.config_.vocabulary));
    if (options.logits == LogitsWanted::kLast) CHECK_EQ(logits.size(), engine_.config_.vocabulary);
    const absl::Status status =
        engine_.RunStep({cache_.get(), position_, ids, options, observer, logits});
    spent_ = !status.ok();
    if (status.ok()) position_ += static_cast<int32_t>(ids.size());
    return status;
  }

  int32_t position() const override { return position_; }
  int32_t capacity() const override { return cache_->capacity(); }

 private:
  BackendEngine& engine_;
  const std::unique_ptr<kernels::KvCache> cache_;
  int32_t position_ = 0;
  bool spent_ = false;
};

absl::StatusOr<std::unique_ptr<Engine>> BackendEngine::Create(
    std::shared_ptr<const model::GgufFile> file, std::unique_ptr<kernels::Backend> backend,
    EngineOptions options) {
  if (options.max_step_tokens < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("max_step_tokens: found ", options.max_step_tokens, ", expected at least 1"));
  }
  auto config = model::ReadConfig(*file);
  if (!config.ok()) return Named(config.status(), file->name());
  auto weights = LoadWeights(*file, *config, *backend);
  if (!weights.ok()) return Named(weights.status(), file->name());
  options.max_step_tokens = std::min(options.max_step_tokens, config->context_tokens);
  ASSIGN_OR_RETURN(StepMemory memory,
                   StepMemory::Create(*backend, *config, options.max_step_tokens));
  return std::unique_ptr<Engine>(new BackendEngine(std::move(file), std::move(backend),
                                                   std::move(options), *std::move(config),
                                                   *std::move(weights), std::move(memory)));
}

BackendEngine::BackendEngine(std::shared_ptr<const model::GgufFile> file,
                             std::unique_ptr<kernels::Backend> backend, EngineOptions options,
                             model::ModelConfig config, ModelWeights weights, StepMemory memory)
    : file_(std::move(file)),
      backend_(std::move(backend)),
      options_(std::move(options)),
      config_(std::move(config)),
      weights_(std::move(weights)),
      info_(DescribeEngine(*file_, config_, *backend_, options_.kv_type)),
      memory_(std::move(memory)) {
  info_.engine_version = options_.version;
  info_.resident_weight_bytes = weights_.resident_bytes;
}

absl::StatusOr<std::unique_ptr<Session>> BackendEngine::NewSession(int32_t capacity) {
  RETURN_IF_ERROR(CheckCapacity(capacity, config_.context_tokens));
  TicketLock::Holder holder(step_lock_);
  ASSIGN_OR_RETURN(auto cache, backend_->NewKvCache({.layers = config_.layers,
                                                     .kv_heads = config_.kv_heads,
                                                     .head_size = config_.head_size,
                                                     .capacity = capacity,
                                                     .type = options_.kv_type}));
  return std::unique_ptr<Session>(new SessionImpl(*this, std::move(cache)));
}

absl::Status BackendEngine::RunStep(const StepRequest& request) {
  TicketLock::Holder holder(step_lock_);
  Observer* const observer = request.observer;
  if (observer != nullptr) {
    RETURN_IF_ERROR(
        observer->BeginStep({request.first_position, request.ids, request.options.prefill}));
  }
  const Tap tap(*backend_, observer, {config_.layers, config_.heads, config_.kv_heads},
                info_.checkpoints);
  absl::Status status = ComputeStep(request, tap);
  // Always asked, so that the next step does not inherit this one's error. The first error is the
  // cause.
  const absl::Status late = backend_->TakeStatus();
  if (status.ok()) status = late;
  if (status.ok() && observer != nullptr) status = observer->EndStep();
  return status;
}

absl::Status BackendEngine::ComputeStep(const StepRequest& request, const Tap& tap) {
  const int64_t count = static_cast<int64_t>(request.ids.size());
  std::vector<int32_t> positions(count);
  std::vector<kernels::RowPlace> places(count);
  for (int64_t t = 0; t < count; ++t) {
    positions[t] = request.first_position + static_cast<int32_t>(t);
    places[t] = {request.cache, positions[t]};
  }
  const StepRows all = memory_.Rows(positions, places);

  // Rows nobody asks for are not computed: all of them where the head is observed, else the last or
  // none.
  const bool last = request.options.logits == LogitsWanted::kLast;
  const bool head_observed = tap.Wants(Stage::kFinalNorm, -1) || tap.Wants(Stage::kLogits, -1);
  const int64_t head_skip = head_observed ? 0 : count - (last ? 1 : 0);
  const int64_t last_layer_skip = tap.WantsAnyOf(config_.layers - 1) ? 0 : head_skip;

  backend_->Embed(*weights_.token_embd, request.ids, all.x);
  if (config_.embedding_scale != 1.0f) backend_->Scale(config_.embedding_scale, all.x);
  tap(Stage::kEmbed, -1, all.x);
  for (int32_t layer = 0; layer < config_.layers; ++layer) {
    if (Stopped(request.options)) return absl::CancelledError("stopped");
    const StepRows tail = layer + 1 == config_.layers ? all.From(last_layer_skip) : all;
    TransformerLayer(*backend_, config_, Rope(layer), weights_.layers[layer], layer, all, tail,
                     tap);
  }
  if (Stopped(request.options)) return absl::CancelledError("stopped");
  if (head_skip == count) return absl::OkStatus();
  return Head(all.From(head_skip), tap, last ? request.logits : absl::Span<float>());
}

absl::Status BackendEngine::Head(const StepRows& rows, const Tap& tap, absl::Span<float> logits) {
  ASSIGN_OR_RETURN(const kernels::Matrix out, memory_.Logits(rows.count()));
  backend_->RmsNorm(rows.x, *weights_.output_norm, config_.rms_epsilon, rows.h);
  tap(Stage::kFinalNorm, -1, rows.h);
  if (logits.empty() && !tap.Wants(Stage::kLogits, -1)) return absl::OkStatus();
  backend_->MatMul(weights_.output(), rows.h, out);
  tap(Stage::kLogits, -1, out);
  if (!logits.empty()) {
    backend_->Read({out.data + (out.rows - 1) * out.cols, 1, out.cols}, logits);
  }
  return absl::OkStatus();
}

kernels::RopeSpec BackendEngine::Rope(int32_t layer) const {
  const model::RopeConfig& rope = config_.ropes[config_.layer_table[layer].rope];
  return {.pairing = config_.rope_pairing,
          .dims = config_.rope_dims,
          .base = rope.base,
          .freq_scale = rope.freq_scale,
          .factors = weights_.rope_freqs.get()};
}

}  // namespace parity::engine
