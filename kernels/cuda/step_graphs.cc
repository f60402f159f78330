#include "kernels/cuda/step_graphs.h"

#include <glog/logging.h>

namespace parity::kernels::cuda {

StepStart StepGraphs::Begin(Key key) {
  CHECK(!current_.has_value()) << "a step inside a step";
  const auto known = seen_.find(key);
  if (known != seen_.end() && known->second != nullptr) {
    device_.Replay(*known->second);
    return StepStart::kRepeated;
  }
  current_ = key;
  recording_ = known != seen_.end();
  if (recording_) device_.BeginRecording();
  return StepStart::kRecorded;
}

void StepGraphs::End(bool complete) {
  CHECK(current_.has_value()) << "the end of no step";
  const Key key = *std::exchange(current_, std::nullopt);
  std::unique_ptr<Recording> recording;
  if (std::exchange(recording_, false)) {
    recording = device_.EndRecording();
    if (recording != nullptr && complete) device_.Replay(*recording);
  }
  if (complete) seen_[key] = std::move(recording);
}

}  // namespace parity::kernels::cuda
