// Where captured frames go, and where the frames of a followed capture come from. Declared here,
// implemented by worker/stream (the collector) and by the JSONL log, so that requests know nothing
// of either.
#ifndef PARITY_WORKER_CAPTURE_FRAME_SINK_H_
#define PARITY_WORKER_CAPTURE_FRAME_SINK_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "parity/v1/checkpoint.pb.h"
#include "parity/v1/collector.pb.h"
#include "worker/capture/block_pool.h"
#include "worker/capture/wire_frame.h"

namespace parity::capture {

// How a finished capture ended.
struct CaptureResult {
  v1::CaptureCounts counts;  // captured = acked + dropped
  v1::CaptureStatus status = v1::CAPTURE_STATUS_UNSPECIFIED;
  std::string message;  // why it is not COMPLETE
};

// Threading: WaitForRoom, Push and Finish come from one thread.
class FrameSink {
 public:
  virtual ~FrameSink() = default;

  // Back-pressure: returns when `bytes` of frames have room, or when waiting is pointless (what
  // does not fit is then dropped and counted by Push). Called between steps, never while the engine
  // is held. CANCELLED when `stop` becomes true; no other error.
  virtual absl::Status WaitForRoom(int64_t bytes, const std::atomic<bool>& stop) = 0;

  // Most bytes that WaitForRoom can make room for.
  virtual int64_t capacity_bytes() const = 0;

  // Takes a frame. Never blocks on anything but memory.
  virtual void Push(WireFramePtr frame) = 0;

  // Where memory for its frames is best taken from; null: anywhere.
  virtual std::shared_ptr<BlockPool> blocks() const { return nullptr; }

  // Hands everything over and ends the capture. `incomplete_reason` is empty when generation ended
  // as asked. REQUIRES: called once, last.
  virtual CaptureResult Finish(absl::string_view incomplete_reason) = 0;
};

// Frames of a followed capture. Threading: one thread.
class ShadowSource {
 public:
  virtual ~ShadowSource() = default;
  // The next frame by rising position; absent at the end. CANCELLED when `stop` becomes true.
  virtual absl::StatusOr<std::optional<v1::Frame>> Next(const std::atomic<bool>& stop) = 0;
};

// What a shadow run has to feed. Index = position.
struct ShadowPlan {
  v1::Provenance provenance;
  std::vector<int32_t> ids;       // -1: no capture of the run knows it
  std::vector<v1::Phase> phases;  // UNSPECIFIED: the capture does not say
};

// Threading: thread-safe.
class CaptureStore {
 public:
  virtual ~CaptureStore() = default;

  // Opens a capture. A collector that is away is no error (what it misses is dropped and counted);
  // one that refuses is: FAILED_PRECONDITION (the capture is sealed), INVALID_ARGUMENT. CANCELLED
  // when `stop` becomes true. Memory for `expected_bytes` of frames is made ready meanwhile, as far
  // as the queue goes.
  virtual absl::StatusOr<std::unique_ptr<FrameSink>> Open(
      const v1::IngestRequest::OpenCapture& open, int64_t expected_bytes,
      const std::atomic<bool>& stop) = 0;

  // Errors: NOT_FOUND naming run and team, UNAVAILABLE.
  virtual absl::StatusOr<ShadowPlan> PlanShadow(const std::string& run,
                                                const std::string& team) = 0;
  virtual absl::StatusOr<std::unique_ptr<ShadowSource>> OpenShadow(const std::string& run,
                                                                   const std::string& team) = 0;
};

}  // namespace parity::capture

#endif  // PARITY_WORKER_CAPTURE_FRAME_SINK_H_
