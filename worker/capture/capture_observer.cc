#include "worker/capture/capture_observer.h"

#include <utility>

namespace parity::capture {

absl::Status Recorder::BeginStep(const engine::Step& step) {
  frames_.Begin(step);
  return absl::OkStatus();
}

absl::Status Recorder::EndStep() {
  for (v1::Frame& frame : frames_.Take()) Push(std::move(frame));
  return absl::OkStatus();
}

void Recorder::Push(v1::Frame frame) {
  for (size_t i = 0; i < sinks_.size(); ++i) {
    if (i + 1 == sinks_.size()) {
      sinks_[i]->Push(std::move(frame));
    } else {
      sinks_[i]->Push(frame);
    }
  }
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
