// Turns a stored capture back into frames: what ReadCapture streams.
#ifndef PARITY_COLLECTOR_QUERY_CAPTURE_FRAMES_H_
#define PARITY_COLLECTOR_QUERY_CAPTURE_FRAMES_H_

#include <functional>

#include "absl/status/status.h"
#include "collector/store/capture_store.h"
#include "parity/v1/collector.pb.h"

namespace parity::query {

// A status that is not OK ends the reading and is returned.
using FrameCallback = std::function<absl::Status(const v1::Frame&)>;

// Frames by rising position, tensors in forward order; a position's tensors may be spread over
// several frames of about half a MiB, and its token record is in each. Positions with a token
// record only give a frame without tensors. Errors: NOT_FOUND (run, team), those of CaptureReader.
absl::Status ReadFrames(const store::CaptureStore& store, const v1::ReadCaptureRequest& request,
                        const FrameCallback& on_frame);

}  // namespace parity::query

#endif  // PARITY_COLLECTOR_QUERY_CAPTURE_FRAMES_H_
