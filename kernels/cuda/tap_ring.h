// Brings values from the card to observers while the card goes on: copies beside the queue into
// pinned host memory, and one thread of the host that shows them in order.
#ifndef PARITY_KERNELS_CUDA_TAP_RING_H_
#define PARITY_KERNELS_CUDA_TAP_RING_H_

#include <cstdint>
#include <deque>
#include <memory>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "kernels/backend.h"
#include "kernels/cuda/device.h"
#include "kernels/cuda/device_memory.h"

namespace parity::kernels::cuda {

// Threading: Push and Drain on the device's thread; sinks are called on a thread of the ring's own.
// The device must outlive it.
class TapRing {
 public:
  // Takes `bytes` of device memory and as many of pinned host memory. RESOURCE_EXHAUSTED.
  static absl::StatusOr<std::unique_ptr<TapRing>> Create(Device& device, int64_t bytes);
  // Shows what is left.
  ~TapRing();

  bool Fits(Matrix value) const { return BytesOf(value) <= device_memory_.bytes(); }
  // Queues `value` as it is after all that was queued, for `sink`; waits while the ring is full.
  // After a sink's error, or the device's, nothing more is shown. REQUIRES: Fits(value).
  void Push(Matrix value, TapSink sink);
  // Waits until all is shown; the first sink's error since the last call. The device's errors are
  // its own to tell.
  absl::Status Drain();

 private:
  // One value: [offset, offset + bytes) of both memories.
  struct Entry {
    int slot;  // of Device::CopyAside
    int64_t offset;
    Matrix value;
    TapSink sink;
  };

  TapRing(Device& device, Block device_memory, void* host_memory);

  static int64_t BytesOf(Matrix value);
  // Where `bytes` fit beside what is waiting, or -1.
  int64_t Place(int64_t bytes) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool HasRoom() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return Place(wanted_) >= 0; }
  bool HasWork() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return !waiting_.empty() || closing_;
  }
  bool IsEmpty() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return waiting_.empty(); }
  void ShowAll();

  Device& device_;
  const Block device_memory_;
  uint8_t* const host_memory_;
  absl::Mutex mutex_;
  std::deque<Entry> waiting_ ABSL_GUARDED_BY(mutex_);  // the first may be shown now
  int next_slot_ = 0;
  int64_t wanted_ ABSL_GUARDED_BY(mutex_) = 0;  // by Push
  bool closing_ ABSL_GUARDED_BY(mutex_) = false;
  bool muted_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Status status_ ABSL_GUARDED_BY(mutex_);
  std::thread thread_;  // last: it uses all others
};

}  // namespace parity::kernels::cuda

#endif  // PARITY_KERNELS_CUDA_TAP_RING_H_
