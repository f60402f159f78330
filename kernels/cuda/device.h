// The memory and the queue of one card (cuda_device.h), or of the emulation
// (emulation/emulated_device.h).
//
// Threading: one thread at a time. Everything queued runs in call order. Errors are sticky: after
// the first one nothing more is queued, and every Wait() returns it.
#ifndef PARITY_KERNELS_CUDA_DEVICE_H_
#define PARITY_KERNELS_CUDA_DEVICE_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "kernels/cuda/gemm.h"
#include "kernels/cuda/stream.h"

namespace parity::kernels::cuda {

struct DeviceMemory {
  int64_t free_bytes;  // that this process may still take: the card's, or what its limit leaves
  int64_t held_bytes;  // by this Device
  bool limited;        // whether its limit is what ends it
};

// Launches that a Device has recorded (a CUDA graph). It must not outlive its Device, nor what the
// launches point to.
class Recording {
 public:
  virtual ~Recording() = default;
};

class Device {
 public:
  virtual ~Device() = default;

  virtual std::string name() const = 0;  // "NVIDIA H200"
  virtual DeviceMemory memory() const = 0;

  // RESOURCE_EXHAUSTED naming the bytes asked for and the bytes free. Aligned to 256 bytes. Freed
  // memory must not be in use by anything queued; Free waits where it has to.
  virtual absl::StatusOr<void*> Allocate(int64_t bytes) = 0;
  virtual void Free(void* memory) = 0;

  // `from` may be reused when it returns.
  virtual void Upload(const void* from, int64_t bytes, void* to) = 0;
  // Waits until `to` is filled. On an error `to` is left alone.
  virtual void Download(const void* from, int64_t bytes, void* to) = 0;
  virtual void Zero(void* memory, int64_t bytes) = 0;

  // Pinned memory of the host. RESOURCE_EXHAUSTED.
  virtual absl::StatusOr<void*> AllocateHost(int64_t bytes) = 0;
  virtual void FreeHost(void* memory) = 0;

  // Copies that may be under way beside the queue.
  static constexpr int kMostCopiesAside = 64;
  // Copies `from` to `staging`, device memory, in call order; and from there to `to`, pinned,
  // beside whatever is queued later. slot: in [0, kMostCopiesAside), free again after AwaitCopy().
  virtual void CopyAside(int slot, const void* from, int64_t bytes, void* staging, void* to) = 0;
  // Waits until the copy has reached the host; false where it never will. On any thread.
  virtual bool AwaitCopy(int slot) = 0;

  // Waits for everything queued. INTERNAL with the device's answer and the kernels that may be
  // meant.
  virtual absl::Status Wait() = 0;

  // Launches into stream() between these two are recorded and not run; nothing else may be asked of
  // the device there. Null after an error, which Wait() returns.
  virtual void BeginRecording() = 0;
  virtual std::unique_ptr<Recording> EndRecording() = 0;
  // Queues what was recorded.
  virtual void Replay(const Recording& recording) = 0;

  virtual Stream& stream() = 0;
  virtual Gemm& gemm() = 0;
};

}  // namespace parity::kernels::cuda

#endif  // PARITY_KERNELS_CUDA_DEVICE_H_
