// One CUDA card of this machine.
#ifndef PARITY_KERNELS_CUDA_CUDA_DEVICE_H_
#define PARITY_KERNELS_CUDA_CUDA_DEVICE_H_

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "kernels/cuda/device.h"
#include "kernels/cuda/gemm.h"

namespace parity::kernels::cuda {

class CudaDevice : public Device {
 public:
  // memory_limit: most bytes this process takes of the card; 0: all that is free. UNAVAILABLE with
  // the driver's answer where there is no card, NOT_FOUND for an ordinal beyond the cards,
  // UNIMPLEMENTED for a card older than this build's kernels.
  static absl::StatusOr<std::unique_ptr<CudaDevice>> Open(int ordinal, int64_t memory_limit);
  ~CudaDevice() override;

  std::string name() const override { return name_; }
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
  Gemm& gemm() override { return *gemm_; }

 private:
  CudaDevice(int ordinal, std::string name, int64_t memory_limit);

  // Makes the card the calling thread's own: sessions come on several threads.
  void Use() const;
  // Keeps the first error, a cudaError_t, with what was being done.
  void Note(int error, const char* action);
  std::string Description() const;  // "cuda device 0 (NVIDIA H200)"

  const int ordinal_;
  const std::string name_;
  const int64_t memory_limit_;
  std::map<void*, int64_t> allocations_;
  int64_t held_bytes_ = 0;
  Stream stream_;
  // A slot of CopyAside: when its value is staged, and when it has reached the host.
  struct CopyEvents {
    void* staged = nullptr;  // cudaEvent_t
    void* arrived = nullptr;
    bool queued = false;
  };
  void* aside_ = nullptr;  // cudaStream_t
  std::array<CopyEvents, kMostCopiesAside> copies_;
  std::unique_ptr<Gemm> gemm_;
  absl::Status broken_;
};

}  // namespace parity::kernels::cuda

#endif  // PARITY_KERNELS_CUDA_CUDA_DEVICE_H_
