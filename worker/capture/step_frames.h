// Gathers the tensors of one engine step and packs them into frames, one token after the other.
#ifndef PARITY_WORKER_CAPTURE_STEP_FRAMES_H_
#define PARITY_WORKER_CAPTURE_STEP_FRAMES_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "parity/v1/checkpoint.pb.h"
#include "proto/checkpoint/name.h"
#include "worker/capture/block_pool.h"
#include "worker/capture/wire_frame.h"
#include "worker/engine/observer.h"

namespace parity::capture {

// A frame is closed when it reaches this; with one more tensor of up to 16 MiB it still fits a
// message. Between 64 and 600 KiB gRPC is fastest (facts/platform.md).
inline constexpr int64_t kFrameBytes = 512 << 10;

// Threading: one thread. What it costs, the engine waits for: a copy, a checksum and 0.1 us.
class StepFrames {
 public:
  // Values are copied into blocks of the pool.
  explicit StepFrames(std::shared_ptr<BlockPool> blocks) : blocks_(std::move(blocks)) {}

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
  std::vector<WireFramePtr> Take();

  // A frame without tensors that says which token was chosen to follow the last row of the last
  // step.
  WireFramePtr Chosen(int32_t id, std::string text) const;

 private:
  struct Entry {
    int64_t ordinal;
    const char* data;  // the tensor as an element of Frame.tensors
    int64_t size;
    size_t block;        // in step_blocks_
    int64_t data_bytes;  // of the values alone
  };
  v1::Frame Empty(int64_t row) const;
  std::shared_ptr<WireFrame> NewFrame(int64_t row);
  // Room for `bytes` in the last of step_blocks_, not yet used.
  char* Room(int64_t bytes);
  void Use(char* end) { used_ = end - step_blocks_.back().get(); }
  absl::string_view LabelOf(checkpoint::Name name);

  const std::shared_ptr<BlockPool> blocks_;
  std::vector<std::shared_ptr<char>> step_blocks_;  // the last one is being filled
  int64_t used_ = 0;                                // bytes of it
  int64_t capacity_ = 0;
  std::vector<std::string> labels_;  // SiteIndex; empty: not asked for yet

  int32_t first_position_ = 0;
  std::vector<int32_t> ids_;
  bool prefill_ = false;
  std::vector<std::vector<Entry>> entries_;  // by row
};

}  // namespace parity::capture

#endif  // PARITY_WORKER_CAPTURE_STEP_FRAMES_H_
