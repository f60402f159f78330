// A Device whose memory is the host's and whose kernels the emulation runs: for tests.
#ifndef PARITY_KERNELS_CUDA_EMULATION_EMULATED_DEVICE_H_
#define PARITY_KERNELS_CUDA_EMULATION_EMULATED_DEVICE_H_

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
  absl::Status Wait() override;
  Stream& stream() override;
  Gemm& gemm() override { return gemm_; }

  // From now on the device answers as one on which a kernel has failed: sticky.
  void Break(absl::Status status) { broken_ = std::move(status); }
  // Bytes copied to the device and from it.
  int64_t uploaded() const { return uploaded_; }
  int64_t downloaded() const { return downloaded_; }

 private:
  const EmulatedOptions options_;
  std::map<void*, int64_t> allocations_;
  int64_t held_bytes_ = 0;
  int64_t uploaded_ = 0;
  int64_t downloaded_ = 0;
  absl::Status broken_;
  Stream stream_;
  ReferenceGemm gemm_;
};

}  // namespace parity::kernels::cuda::emulation

#endif  // PARITY_KERNELS_CUDA_EMULATION_EMULATED_DEVICE_H_
