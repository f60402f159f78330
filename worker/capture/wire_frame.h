// A v1::Frame in its wire form, made where the values are copied: a sender has nothing left to
// serialise.
#ifndef PARITY_WORKER_CAPTURE_WIRE_FRAME_H_
#define PARITY_WORKER_CAPTURE_WIRE_FRAME_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "parity/v1/checkpoint.pb.h"

namespace parity::capture {

// What a tensor's message says beside the values. All are F32.
struct TensorHeader {
  absl::string_view checkpoint;
  int32_t heads = 0;           // 0: shape [total_elements], else [heads, total_elements / heads]
  int64_t total_elements = 0;  // the values that follow may be a prefix
  bool not_substituted = false;
};

// Bytes of one element of Frame.tensors on the wire, its tag and length included.
int64_t EncodedBytes(const TensorHeader& header, int64_t stored_elements);

// Writes one element of Frame.tensors: takes the xxh3 of the values and copies them. Returns the
// end. The copy takes no room in the caches; another thread may read it once PublishTensors() was
// called. REQUIRES: EncodedBytes(header, values.size()) at `out`, values not empty.
char* EncodeTensor(const TensorHeader& header, absl::Span<const float> values, char* out);

// Orders the calling thread's EncodeTensor before its later stores, such as those of a lock.
void PublishTensors();

// One frame: pieces which, one after the other, are the message. Immutable once it is shared; the
// memory of the pieces lives as long as the frame.
class WireFrame {
 public:
  // `frame` itself, in memory of its own.
  static std::shared_ptr<const WireFrame> From(const v1::Frame& frame);

  // Adds a piece that holds whole fields, among them `tensors` elements of Frame.tensors.
  // `owner` keeps it in memory.
  void Append(absl::string_view piece, int64_t tensors, const std::shared_ptr<const char>& owner);

  absl::Span<const absl::string_view> pieces() const { return pieces_; }
  int64_t bytes() const { return bytes_; }
  int64_t tensors() const { return tensors_; }

  // The message, copied.
  v1::Frame Parse() const;

 private:
  std::vector<absl::string_view> pieces_;
  std::vector<std::shared_ptr<const char>> owners_;
  int64_t bytes_ = 0;
  int64_t tensors_ = 0;
};

using WireFramePtr = std::shared_ptr<const WireFrame>;

}  // namespace parity::capture

#endif  // PARITY_WORKER_CAPTURE_WIRE_FRAME_H_
