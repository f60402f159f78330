// Where the forward pass meets the observer: one line a checkpoint.
#ifndef PARITY_WORKER_ENGINE_TAP_H_
#define PARITY_WORKER_ENGINE_TAP_H_

#include <cstdint>
#include <vector>

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

// The taps of one step. Asks the observer once for every site of the model; afterwards an unwanted
// site costs a branch. Threading: the engine's thread. Lives for one step; errors of the observer
// become the backend's sticky status.
class Tap {
 public:
  // `observer` may be null: nothing is wanted then. Both must outlive the Tap.
  Tap(kernels::Backend& ops, Observer* observer, const TapModel& model,
      absl::Span<const checkpoint::Name> sites);

  // layer is -1 outside the layer stack.
  bool Wants(Stage stage, int32_t layer) const {
    return observer_ != nullptr && wanted_[Index(stage, layer)];
  }
  // Whether any site of the layer is wanted.
  bool WantsAnyOf(int32_t layer) const;

  // Gives `value` to the observer if it is wanted. value: [T, width].
  void operator()(Stage stage, int32_t layer, kernels::Matrix value) const {
    if (Wants(stage, layer)) Give(stage, layer, value);
  }

 private:
  static size_t Index(Stage stage, int32_t layer) {
    return static_cast<size_t>(layer + 1) * checkpoint::kStageCount + static_cast<size_t>(stage);
  }
  void Give(Stage stage, int32_t layer, kernels::Matrix value) const;
  int32_t HeadsOf(Stage stage) const;

  kernels::Backend& ops_;
  Observer* observer_;
  TapModel model_;
  std::vector<bool> wanted_;
};

}  // namespace parity::engine

#endif  // PARITY_WORKER_ENGINE_TAP_H_
