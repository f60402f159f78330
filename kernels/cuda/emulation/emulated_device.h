// A Device whose memory is the host's and whose kernels the emulation runs: for tests.
#ifndef PARITY_KERNELS_CUDA_EMULATION_EMULATED_DEVICE_H_
#define PARITY_KERNELS_CUDA_EMULATION_EMULATED_DEVICE_H_

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "kernels/cuda/device.h"
#include "kernels/cuda/emulation/emulation.h"
#include "kernels/cuda/gemm.h"

namespace parity::kernels::cuda::emulation {

// GemmCall as it is defined, sums in float, inputs rising.
class ReferenceGemm : public Gemm {
 public:
  absl::Status Multiply(const GemmCall& call) override;
};

struct EmulatedOptions {
  int64_t memory_bytes = int64_t{1} << 32;
  Order order = Order::kForward;
  // The wait after so many kernels of the process finds the device broken, as by an illegal access
  // of one of them; 0: none does.
  int64_t fault_after_kernels = 0;
};

// Fresh memory is filled with NaNs. Every allocation stands alone, so that ASan sees its ends.
class EmulatedDevice : public Device {
 public:
  explicit EmulatedDevice(const EmulatedOptions& options);
  ~EmulatedDevice() override;

  std::string name() const override { return "emulation"; }
  DeviceMemory memory() const override;
  absl::StatusOr<void*> Allocate(int64_t bytes) override;
  void Free(void* memory) override;
  void Upload(const void* from, int64_t bytes, void* to) override;
  void Download(const void* from, int64_t bytes, void* to) override;
  void Zero(void* memory, int64_t bytes) override;
  absl::StatusOr<void*> AllocateHost(int64_t bytes) override;
  void FreeHost(void* memory) override;
  void CopyAside(int slot, const void* from, int64_t bytes, void* staging, void* to) override;
  bool AwaitCopy(int slot) override;
  absl::Status Wait() override;
  void BeginRecording() override;
  std::unique_ptr<Recording> EndRecording() override;
  void Replay(const Recording& recording) override;
  Stream& stream() override;
  Gemm& gemm() override { return gemm_; }

  // From now on the device answers as one on which a kernel has failed: sticky.
  void Break(absl::Status status) { broken_ = std::move(status); }
  // Bytes copied to the device and from it.
  int64_t uploaded() const { return uploaded_; }
  int64_t downloaded() const { return downloaded_; }
  // Recordings made, and how often one was replayed.
  int64_t recordings() const { return recordings_; }
  int64_t replays() const { return replays_; }

 private:
  const EmulatedOptions options_;
  std::map<void*, int64_t> allocations_;
  int64_t held_bytes_ = 0;
  int64_t uploaded_ = 0;
  int64_t downloaded_ = 0;
  // The way from staging memory to the host, taken as late as may be: when somebody waits for it.
  struct CopyUnderWay {
    const void* from = nullptr;
    int64_t bytes = 0;
    void* to = nullptr;
  };
  std::array<CopyUnderWay, kMostCopiesAside> copies_;
  int64_t recordings_ = 0;
  int64_t replays_ = 0;
  RecordedLaunches recorded_;
  absl::Status broken_;
  Stream stream_;
  ReferenceGemm gemm_;
};

}  // namespace parity::kernels::cuda::emulation

#endif  // PARITY_KERNELS_CUDA_EMULATION_EMULATED_DEVICE_H_
