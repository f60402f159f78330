// Where the forward pass meets the observers: one line a checkpoint.
#ifndef PARITY_WORKER_ENGINE_TAP_H_
#define PARITY_WORKER_ENGINE_TAP_H_

#include <atomic>
#include <cstdint>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/status/status.h"
#include "absl/types/span.h"
#include "kernels/backend.h"
#include "proto/checkpoint/name.h"
#include "worker/engine/observer.h"

namespace parity::engine {

// What a tap needs to know of the model to describe a value.
struct TapModel {
  int32_t layers;
  int32_t heads;     // H
  int32_t kv_heads;  // G
};

// Place of a site in a table over all sites of a model; layer is -1 outside the layer stack.
inline size_t SiteIndex(Stage stage, int32_t layer) {
  return static_cast<size_t>(layer + 1) * checkpoint::kStageCount + static_cast<size_t>(stage);
}

// The rows of one sequence in a step, as its observer sees them: what it wants, and what became of
// it. Threading: the engine's thread; Observe may be called from the backend's, one call at a time.
// Lives for one step.
class ObservedRows {
 public:
  // Asks `observer` (null: nothing is wanted) once for every site of the model. It must outlive the
  // object.
  ObservedRows(Observer* observer, const TapModel& model, absl::Span<const checkpoint::Name> sites);

  bool Wants(Stage stage, int32_t layer) const {
    return !wanted_.empty() && wanted_[SiteIndex(stage, layer)];
  }
  // Whether any site of the layer is wanted.
  bool WantsAnyOf(int32_t layer) const;
  const std::vector<bool>& wanted() const { return wanted_; }  // by SiteIndex; may be empty
  bool substitutes() const { return observer_ != nullptr && observer_->Substitutes(); }

  // Gives `value` to the observer, unless an earlier one failed or Mute() was called.
  void Observe(Stage stage, int32_t layer, const MutableTensorView& value);
  // Nothing is given any more.
  void Mute() { mute_.store(true, std::memory_order_release); }
  bool muted() const { return mute_.load(std::memory_order_acquire); }
  // The observer's first error. REQUIRES: muted(), or the backend has finished the step.
  const absl::Status& status() const { return status_; }

  // Where the rows stand in the step: set once the step is laid out.
  int64_t first_row = 0;
  int64_t rows = 0;

 private:
  Observer* const observer_;
  std::vector<bool> wanted_;
  absl::Status status_;
  std::atomic<bool> mute_{false};
};

// The taps of one step: each observer is given its own rows only, and its error stops nobody but
// itself. An unwanted site costs a branch. Threading: the engine's thread. Lives for one step.
class Tap {
 public:
  // All must outlive the Tap. `step_rows` is the sum of the rows.
  Tap(kernels::Backend& ops, const TapModel& model, absl::Span<ObservedRows* const> observed,
      int64_t step_rows);

  // Gives `value` to the observers that want it. value: [T, width], the last T rows of the step,
  // among them all rows of whoever wants it. layer is -1 outside the layer stack.
  void operator()(Stage stage, int32_t layer, kernels::Matrix value) const {
    if (Wants(stage, layer)) Give(stage, layer, value);
  }

  // Whether anybody wants anything.
  bool WantsAny() const { return absl::c_linear_search(wanted_, true); }
  // Whether anybody wants the site.
  bool Wants(Stage stage, int32_t layer) const {
    return !wanted_.empty() && wanted_[SiteIndex(stage, layer)];
  }
  // Whether anybody may change the site's value.
  bool MayChange(Stage stage, int32_t layer) const;

 private:
  void Give(Stage stage, int32_t layer, kernels::Matrix value) const;
  int32_t HeadsOf(Stage stage) const;

  kernels::Backend& ops_;
  TapModel model_;
  absl::Span<ObservedRows* const> observed_;
  int64_t step_rows_;
  std::vector<bool> wanted_;  // by anybody
};

}  // namespace parity::engine

#endif  // PARITY_WORKER_ENGINE_TAP_H_
