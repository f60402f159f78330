#include "worker/capture/capture_observer.h"

#include <utility>

namespace parity::capture {
namespace {

// What a sink that is done with a frame at the next step needs.
constexpr int64_t kOwnBytes = 2 * BlockPool::kBlockBytes;

std::shared_ptr<BlockPool> BlocksOf(const std::vector<FrameSink*>& sinks) {
  for (const FrameSink* sink : sinks) {
    if (std::shared_ptr<BlockPool> blocks = sink->blocks()) return blocks;
  }
  return BlockPool::Create(kOwnBytes);
}

}  // namespace

Recorder::Recorder(std::vector<FrameSink*> sinks)
    : frames_(BlocksOf(sinks)), sinks_(std::move(sinks)) {}

absl::Status Recorder::BeginStep(const engine::Step& step) {
  frames_.Begin(step);
  return absl::OkStatus();
}

absl::Status Recorder::EndStep() {
  for (const WireFramePtr& frame : frames_.Take()) Push(frame);
  return absl::OkStatus();
}

void Recorder::Push(const WireFramePtr& frame) {
  for (FrameSink* sink : sinks_) sink->Push(frame);
}

absl::Status CaptureObserver::Observe(engine::Stage stage, int32_t layer,
                                      const engine::MutableTensorView& value) {
  for (int64_t row = 0; row < value.rows; ++row) {
    frames_.Add({stage, layer}, StepRow(value, row),
                value.values.subspan(row * value.width, value.width), value.heads,
                selection_.max_elements(), /*not_substituted=*/false);
  }
  return absl::OkStatus();
}

}  // namespace parity::capture
