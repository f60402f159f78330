// The sequences of one step: which of their rows are computed how far, and in what order they
// stand.
#ifndef PARITY_WORKER_ENGINE_STEP_BATCH_H_
#define PARITY_WORKER_ENGINE_STEP_BATCH_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "kernels/backend.h"
#include "kernels/top_k.h"
#include "worker/engine/engine.h"
#include "worker/engine/observer.h"
#include "worker/engine/step_queue.h"
#include "worker/engine/tap.h"

namespace parity::engine {

// Where the logits of a sequence's last row go: all of them, or the `k` largest.
struct LogitsPlace {
  absl::Span<float> row;
  kernels::TopValues* top = nullptr;  // in place of `row`
  int32_t k = 0;
};

// What one session has to feed. The step takes the first `rows` of `ids`.
struct Sequence : StepQueue::Ticket {
  Sequence(StepQueue::Member& member, kernels::KvCache& cache, int32_t first_position,
           absl::Span<const int32_t> ids, const ForwardOptions& options, Observer* observer,
           const LogitsPlace& logits)
      : Ticket(member, static_cast<int64_t>(ids.size())),
        cache(&cache),
        first_position(first_position),
        ids(ids),
        options(options),
        observer(observer),
        logits(logits) {}

  kernels::KvCache* const cache;
  const int32_t first_position;
  const absl::Span<const int32_t> ids;
  const ForwardOptions& options;
  Observer* const observer;  // may be null
  const LogitsPlace logits;

  // What became of it; read by the session after the step.
  absl::Status status;

  bool stopped() const {
    return options.stop != nullptr && options.stop->load(std::memory_order_relaxed);
  }
  // Of the step.
  absl::Span<const int32_t> step_ids() const { return ids.subspan(0, rows); }
  bool wants_logits() const {
    return options.logits == LogitsWanted::kLast && rows == static_cast<int64_t>(ids.size());
  }
  std::optional<ObservedRows> observed;  // set before StepBatch is made
  // Leading rows that need not be computed in the last layer after its keys and values, and in the
  // head.
  int64_t last_layer_skip = 0;
  int64_t head_skip = 0;
};

// Threading: one thread. Lives for one step, as do the sequences.
class StepBatch {
 public:
  // Leaves the last row of a prompt to the next step where the rows that the last layer and the
  // head compute could not stand together otherwise. Call before an observer is told of the step.
  static void Trim(absl::Span<Sequence* const> sequences);

  // Lays out the rows: those that nobody asks anything of in the last layer come first, then those
  // that end there, then those of the head. REQUIRES: at least one sequence; Trim() was called;
  // `observed` is set.
  StepBatch(std::vector<Sequence*> sequences, int32_t layers);

  absl::Span<Sequence* const> sequences() const { return sequences_; }
  std::vector<ObservedRows*> observed() const;
  int64_t rows() const { return static_cast<int64_t>(ids_.size()); }
  absl::Span<const int32_t> ids() const { return ids_; }
  absl::Span<const int32_t> positions() const { return positions_; }
  absl::Span<const kernels::RowPlace> places() const { return places_; }
  // Leading rows of the step that the last layer's tail, and the head, leave out.
  int64_t last_layer_skip() const { return last_layer_skip_; }
  int64_t head_skip() const { return head_skip_; }

  // Whether anybody still waits for the step. Whoever was told to stop, or whose observer failed,
  // does not: it is shown nothing more, and its rows are computed in vain to the step's end.
  bool Alive();

 private:
  const std::vector<Sequence*> sequences_;
  std::vector<int32_t> ids_;
  std::vector<int32_t> positions_;
  std::vector<kernels::RowPlace> places_;
  int64_t last_layer_skip_ = 0;
  int64_t head_skip_ = 0;
};

}  // namespace parity::engine

#endif  // PARITY_WORKER_ENGINE_STEP_BATCH_H_
