// Which steps a backend has seen before: the first of a kind runs op by op, the second is recorded,
// all others are one launch of that recording.
#ifndef PARITY_KERNELS_CUDA_STEP_GRAPHS_H_
#define PARITY_KERNELS_CUDA_STEP_GRAPHS_H_

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <utility>

#include "kernels/backend.h"
#include "kernels/cuda/device.h"

namespace parity::kernels::cuda {

// Threading: one thread at a time. The device must outlive it.
class StepGraphs {
 public:
  // The caller's key, and the splits of the context: what the launches of a step depend on beside
  // values in device memory.
  using Key = std::pair<uint64_t, int32_t>;

  explicit StepGraphs(Device& device) : device_(device) {}

  // Replays the step where it is known. Else its ops must follow, then End().
  StepStart Begin(Key key);
  // `complete`: every op of the step was launched. Runs what was recorded.
  void End(bool complete);
  // Memory that the recordings point to has moved or gone.
  void Forget() { seen_.clear(); }
  // Whether launches are recorded now: no memory may move.
  bool recording() const { return recording_; }

 private:
  Device& device_;
  std::map<Key, std::unique_ptr<Recording>> seen_;  // null: ran once, op by op
  std::optional<Key> current_;
  bool recording_ = false;
};

}  // namespace parity::kernels::cuda

#endif  // PARITY_KERNELS_CUDA_STEP_GRAPHS_H_
