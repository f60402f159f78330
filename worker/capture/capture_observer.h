// Copies the wanted checkpoints of a session into frames and hands them to the sinks.
#ifndef PARITY_WORKER_CAPTURE_CAPTURE_OBSERVER_H_
#define PARITY_WORKER_CAPTURE_CAPTURE_OBSERVER_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "worker/capture/capture_spec.h"
#include "worker/capture/frame_sink.h"
#include "worker/capture/step_frames.h"
#include "worker/capture/wire_frame.h"
#include "worker/engine/observer.h"

namespace parity::capture {

// What a session's observer offers its generation loop. Subclassed by CaptureObserver and
// ShadowObserver.
class Recorder : public engine::Observer {
 public:
  explicit Recorder(std::vector<FrameSink*> sinks);

  // Makes ready for a step of `rows` tokens at `first_position`; may block. Called between steps.
  // CANCELLED when `stop` becomes true.
  virtual absl::Status Prepare(int32_t first_position, int64_t rows,
                               const std::atomic<bool>& stop) = 0;

  // Reports the token chosen to follow the last row of the last step.
  void RecordChosen(int32_t id, const std::string& text) { Push(frames_.Chosen(id, text)); }

  absl::Status BeginStep(const engine::Step& step) override;
  absl::Status EndStep() override;

 protected:
  // Row of the step that row `row` of `view` belongs to: an engine may compute only the last rows
  // of a checkpoint.
  int64_t StepRow(const engine::MutableTensorView& view, int64_t row) const {
    return frames_.rows() - view.rows + row;
  }
  StepFrames frames_;

 private:
  void Push(const WireFramePtr& frame);

  const std::vector<FrameSink*> sinks_;
};

// Records every wanted checkpoint. Sinks must outlive it.
class CaptureObserver : public Recorder {
 public:
  CaptureObserver(Selection selection, std::vector<FrameSink*> sinks)
      : Recorder(std::move(sinks)), selection_(std::move(selection)) {}

  absl::Status Prepare(int32_t, int64_t, const std::atomic<bool>&) override {
    return absl::OkStatus();
  }
  bool Wants(engine::Stage stage, int32_t layer) const override {
    return selection_.Wants(stage, layer);
  }
  absl::Status Observe(engine::Stage stage, int32_t layer,
                       const engine::MutableTensorView& value) override;

 private:
  const Selection selection_;
};

}  // namespace parity::capture

#endif  // PARITY_WORKER_CAPTURE_CAPTURE_OBSERVER_H_
