#include "worker/engine/backend_engine.h"

#include <glog/logging.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"
#include "kernels/top_k.h"
#include "proto/status/annotate.h"
#include "proto/status/status_macros.h"
#include "worker/engine/engine_info.h"
#include "worker/engine/tap.h"
#include "worker/engine/transformer_layer.h"
#include "worker/engine/work_plan.h"

namespace parity::engine {
namespace {

// Rows of prompts in a step that serves several sessions: enough that a pass over the weights is
// well used, few enough that who decodes beside them waits for a few of its own steps only.
constexpr int64_t kSharedRows = 16;

// Where a row's bits depend on the rows of a long call, only single rows of sessions meet, as many
// as may: what a session computes must not depend on who else is there.
StepQueue::Limits LimitsFor(const kernels::Backend& backend, int64_t rows) {
  if (backend.independent_rows() >= rows) return {.rows = rows, .shared_rows = kSharedRows};
  return {.rows = rows,
          .shared_rows = rows,
          .members = backend.independent_rows(),
          .single_rows_meet = true};
}

// Whether all rows of a step go the whole way: its ops are then the same whenever as many rows do.
bool GoesTheWholeWay(const StepBatch& batch) {
  return batch.last_layer_skip() == 0 && batch.head_skip() == 0 &&
         absl::c_all_of(batch.sequences(), [](const Sequence* sequence) {
           return sequence->rows == 1 && sequence->wants_logits();
         });
}

// Rows of logits that a step needs but for an observer of all: the last of each session's.
int64_t MostLogitsRows(const kernels::Backend& backend, int64_t rows) {
  return backend.independent_rows() < rows ? backend.independent_rows() : 1;
}

bool AnyWantsLogits(const StepBatch& batch) {
  return absl::c_any_of(batch.sequences(),
                        [](const Sequence* sequence) { return sequence->wants_logits(); });
}

}  // namespace

class BackendEngine::SessionImpl : public Session {
 public:
  SessionImpl(BackendEngine& engine, std::unique_ptr<kernels::KvCache> cache)
      : engine_(engine), cache_(std::move(cache)), member_(engine.queue_) {}

  absl::Status Forward(absl::Span<const int32_t> ids, const ForwardOptions& options,
                       Observer* observer, absl::Span<float> logits) override {
    return Feed(ids, options, observer, {.row = logits});
  }

  absl::Status ForwardTop(absl::Span<const int32_t> ids, const ForwardOptions& options,
                          Observer* observer, absl::Span<float>, int32_t k,
                          TopLogits& top) override {
    CHECK(options.logits == LogitsWanted::kLast && k >= 1 && k <= kMostTopLogits) << k;
    return Feed(ids, options, observer, {.row = {}, .top = &top, .k = k});
  }

  int32_t position() const override { return position_; }
  int32_t capacity() const override { return cache_->capacity(); }

 private:
  absl::Status Feed(absl::Span<const int32_t> ids, const ForwardOptions& options,
                    Observer* observer, const LogitsPlace& logits) {
    if (spent_) {
      return absl::FailedPreconditionError("the session ended with an error and cannot go on");
    }
    RETURN_IF_ERROR(CheckStep(ids, position_, cache_->capacity(), engine_.max_step_tokens(),
                              engine_.config_.vocabulary));
    if (options.logits == LogitsWanted::kLast && logits.top == nullptr) {
      CHECK_EQ(logits.row.size(), engine_.config_.vocabulary);
    }
    const absl::Status status = RunSteps(ids, options, observer, logits);
    spent_ = !status.ok();
    if (status.ok()) position_ += static_cast<int32_t>(ids.size());
    return status;
  }

  // As many as the queue makes of it.
  absl::Status RunSteps(absl::Span<const int32_t> ids, const ForwardOptions& options,
                        Observer* observer, const LogitsPlace& logits) {
    for (int32_t position = position_; !ids.empty();) {
      Sequence sequence(member_, *cache_, position, ids, options, observer, logits);
      engine_.queue_.Run(sequence);
      RETURN_IF_ERROR(sequence.status);
      // On this thread, so that what an observer does with a whole step holds up nobody else.
      if (observer != nullptr) RETURN_IF_ERROR(observer->EndStep());
      position += static_cast<int32_t>(sequence.rows);
      ids.remove_prefix(sequence.rows);
    }
    return absl::OkStatus();
  }

  BackendEngine& engine_;
  const std::unique_ptr<kernels::KvCache> cache_;
  StepQueue::Member member_;
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
  ASSIGN_OR_RETURN(model::ModelConfig config, model::ReadConfig(*file));
  options.max_step_tokens = std::min(options.max_step_tokens, config.context_tokens);
  // What cannot be computed is told before what does not fit.
  RETURN_IF_ERROR(model::FindTensors(*file, config).status());
  const int64_t logits_rows = MostLogitsRows(*backend, options.max_step_tokens);
  const absl::Status prepared =
      backend->Prepare(PlanWork(*file, config, options.max_step_tokens, logits_rows));
  if (!prepared.ok()) return Annotate(prepared, file->name());
  auto weights = LoadWeights(*file, config, *backend);
  if (!weights.ok()) return Annotate(weights.status(), file->name());
  ASSIGN_OR_RETURN(StepMemory memory,
                   StepMemory::Create(*backend, config, options.max_step_tokens));
  RETURN_IF_ERROR(memory.Logits(logits_rows).status());
  return std::unique_ptr<Engine>(new BackendEngine(std::move(file), std::move(backend),
                                                   std::move(options), std::move(config),
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
      tap_model_{config_.layers, config_.heads, config_.kv_heads},
      memory_(std::move(memory)),
      queue_(LimitsFor(*backend_, options_.max_step_tokens),
             [this](absl::Span<StepQueue::Ticket* const> tickets) { RunStep(tickets); }) {
  info_.engine_version = options_.version;
  info_.resident_weight_bytes = weights_.resident_bytes;
}

absl::StatusOr<std::unique_ptr<Session>> BackendEngine::NewSession(int32_t capacity) {
  RETURN_IF_ERROR(CheckCapacity(capacity, config_.context_tokens));
  TicketLock::Holder holder(backend_lock_);
  ASSIGN_OR_RETURN(auto cache, backend_->NewKvCache({.layers = config_.layers,
                                                     .kv_heads = config_.kv_heads,
                                                     .head_size = config_.head_size,
                                                     .capacity = capacity,
                                                     .type = options_.kv_type}));
  return std::unique_ptr<Session>(new SessionImpl(*this, std::move(cache)));
}

void BackendEngine::RunStep(absl::Span<StepQueue::Ticket* const> tickets) {
  std::vector<Sequence*> sequences;
  for (StepQueue::Ticket* ticket : tickets) sequences.push_back(static_cast<Sequence*>(ticket));
  StepBatch::Trim(sequences);
  std::vector<Sequence*> begun;
  for (Sequence* sequence : sequences) {
    Observer* const observer = sequence->observer;
    if (sequence->stopped()) {
      sequence->status = absl::CancelledError("stopped");
    } else if (observer != nullptr) {
      sequence->status = observer->BeginStep(
          {sequence->first_position, sequence->step_ids(), sequence->options.prefill});
    }
    if (!sequence->status.ok()) continue;
    sequence->observed.emplace(observer, tap_model_, info_.checkpoints);
    begun.push_back(sequence);
  }
  if (begun.empty()) return;
  StepBatch batch(std::move(begun), config_.layers);
  if (options_.on_step) {
    options_.on_step({static_cast<int>(batch.sequences().size()), batch.rows()});
  }
  TicketLock::Holder holder(backend_lock_);
  absl::Status status = ComputeStep(batch);
  // Always asked, so that the next step does not inherit this one's error. The first error is the
  // cause.
  const absl::Status late = backend_->TakeStatus();
  if (status.ok()) status = late;
  for (Sequence* sequence : batch.sequences()) {
    if (sequence->status.ok()) sequence->status = sequence->observed->status();
    if (sequence->status.ok()) sequence->status = status;
  }
}

absl::Status BackendEngine::ComputeStep(StepBatch& batch) {
  const std::vector<ObservedRows*> observed = batch.observed();
  const Tap tap(*backend_, tap_model_, observed, batch.rows());
  kernels::Matrix logits;
  if (AnyWantsLogits(batch) || tap.Wants(Stage::kLogits, -1)) {
    ASSIGN_OR_RETURN(logits, memory_.Logits(batch.rows() - batch.head_skip()));
  }
  auto start = kernels::StepStart::kPlain;
  if (GoesTheWholeWay(batch) && !tap.WantsAny()) {
    start = backend_->BeginStep({.key = static_cast<uint64_t>(batch.rows()),
                                 .ids = batch.ids(),
                                 .positions = batch.positions(),
                                 .places = batch.places()});
  }
  if (start != kernels::StepStart::kRepeated) {
    // A recording must be whole: it is not stopped between the layers.
    if (!Layers(batch, start == kernels::StepStart::kPlain, tap, logits)) return absl::OkStatus();
  }
  if (start == kernels::StepStart::kRecorded) backend_->EndStep();
  GiveLogits(batch, logits);
  return absl::OkStatus();
}

void BackendEngine::GiveLogits(const StepBatch& batch, kernels::Matrix logits) {
  // Rows that follow each other are looked through in one call.
  std::vector<const Sequence*> together;
  int64_t first = 0;
  const auto flush = [&] {
    if (together.empty()) return;
    int32_t k = 0;
    for (const Sequence* sequence : together) k = std::max(k, sequence->logits.k);
    std::vector<kernels::TopValues> top(together.size());
    backend_->TopK(
        {logits.data + first * logits.cols, static_cast<int64_t>(top.size()), logits.cols}, k,
        absl::MakeSpan(top));
    for (size_t i = 0; i < top.size(); ++i) {
      const LogitsPlace& place = together[i]->logits;
      if (static_cast<int64_t>(top[i].values.size()) > place.k) top[i].values.resize(place.k);
      *place.top = std::move(top[i]);
    }
    together.clear();
  };
  for (const Sequence* sequence : batch.sequences()) {
    if (!sequence->wants_logits()) continue;
    const int64_t row = sequence->observed->first_row + sequence->rows - 1 - batch.head_skip();
    if (sequence->logits.top == nullptr) {
      backend_->Read({logits.data + row * logits.cols, 1, logits.cols}, sequence->logits.row);
      continue;
    }
    if (row != first + static_cast<int64_t>(together.size())) flush();
    if (together.empty()) first = row;
    together.push_back(sequence);
  }
  flush();
}

bool BackendEngine::Layers(StepBatch& batch, bool may_stop, const Tap& tap,
                           kernels::Matrix logits) {
  const StepRows all = memory_.Rows(batch.positions(), batch.places());
  // Nor may the bits of the logits depend on what is observed: all rows of the last layer are
  // computed where they depend on how many are.
  const bool skips = batch.rows() <= backend_->independent_rows() || !AnyWantsLogits(batch);
  const int64_t last_layer_skip = skips ? batch.last_layer_skip() : 0;
  backend_->Embed(*weights_.token_embd, batch.ids(), all.x);
  if (config_.embedding_scale != 1.0f) backend_->Scale(config_.embedding_scale, all.x);
  tap(Stage::kEmbed, -1, all.x);
  backend_->RmsNorm(all.x, *weights_.layers[0].attn_norm, config_.rms_epsilon, all.h);
  const bool head = batch.head_skip() < batch.rows();
  for (int32_t layer = 0; layer < config_.layers; ++layer) {
    if (may_stop && !batch.Alive()) return false;
    const bool last = layer + 1 == config_.layers;
    const StepRows tail = last ? all.From(last_layer_skip) : all;
    const kernels::Vector* const after_last = head ? weights_.output_norm.get() : nullptr;
    TransformerLayer(*backend_, config_, Rope(layer), weights_.layers[layer], layer, all, tail, tap,
                     last ? after_last : weights_.layers[layer + 1].attn_norm.get());
  }
  if (may_stop && !batch.Alive()) return false;
  if (head) Head(all.From(batch.head_skip()), tap, logits);
  return true;
}

void BackendEngine::Head(const StepRows& rows, const Tap& tap, kernels::Matrix logits) {
  tap(Stage::kFinalNorm, -1, rows.h);
  if (logits.data == nullptr) return;
  const int64_t at_once = std::min(logits.rows, backend_->independent_rows());
  for (int64_t t = 0; t < logits.rows; t += at_once) {
    const int64_t some = std::min(at_once, logits.rows - t);
    backend_->MatMul(weights_.output(), {rows.h.data + t * rows.h.cols, some, rows.h.cols},
                     {logits.data + t * logits.cols, some, logits.cols});
  }
  tap(Stage::kLogits, -1, logits);
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
