// Gathers the tensors of one engine step and packs them into frames, one token after the other.
#ifndef PARITY_WORKER_CAPTURE_STEP_FRAMES_H_
#define PARITY_WORKER_CAPTURE_STEP_FRAMES_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "parity/v1/checkpoint.pb.h"
#include "proto/checkpoint/name.h"
#include "worker/engine/observer.h"

namespace parity::capture {

// A frame is closed when it reaches this; with one more tensor of up to 16 MiB it still fits a
// message. Between 64 and 600 KiB gRPC is fastest (facts/platform.md).
inline constexpr int64_t kFrameBytes = 512 << 10;

// Threading: one thread.
class StepFrames {
 public:
  // Forgets what was gathered and starts a step.
  void Begin(const engine::Step& step);

  int64_t rows() const { return static_cast<int64_t>(ids_.size()); }
  int32_t position(int64_t row) const { return first_position_ + static_cast<int32_t>(row); }

  // Copies one row's value, with its checksum. max_elements 0: all. heads 0: shape [width], else
  // [heads, width / heads]. REQUIRES: 0 <= row < rows().
  void Add(checkpoint::Name name, int64_t row, absl::Span<const float> values, int32_t heads,
           int64_t max_elements, bool not_substituted);

  // The frames of the step, tensors in forward order, by rising position; every row has at least
  // one frame.
  std::vector<v1::Frame> Take();

  // A frame without tensors that says which token was chosen to follow the last row of the last
  // step.
  v1::Frame Chosen(int32_t id, std::string text) const;

 private:
  v1::Frame Empty(int64_t row) const;

  int32_t first_position_ = 0;
  std::vector<int32_t> ids_;
  bool prefill_ = false;
  struct Entry {
    int64_t ordinal;
    v1::Tensor tensor;
  };
  std::vector<std::vector<Entry>> entries_;  // by row
};

}  // namespace parity::capture

#endif  // PARITY_WORKER_CAPTURE_STEP_FRAMES_H_
