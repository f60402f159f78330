#include "kernels/cuda/cuda_factory.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "kernels/cuda/cuda_backend.h"
#include "kernels/cuda/cuda_device.h"
#include "proto/status/status_macros.h"

namespace parity::kernels::cuda {

absl::StatusOr<std::unique_ptr<Backend>> CreateCudaBackend(const CudaOptions& options) {
  ASSIGN_OR_RETURN(std::unique_ptr<Device> device,
                   CudaDevice::Open(options.device, options.memory_limit));
  const int64_t free = device->memory().free_bytes;
  if (options.required_bytes > free) {
    return absl::ResourceExhaustedError(
        absl::StrCat("the weights need ", options.required_bytes, " bytes of device memory, ", free,
                     " are free on CUDA device ", options.device, " (", device->name(), ")",
                     options.memory_limit > 0 ? " within --gpu-memory-limit" : ""));
  }
  return std::unique_ptr<Backend>(new CudaBackend(
      std::move(device), {.numerics = options.numerics, .on_broken = options.on_broken}));
}

}  // namespace parity::kernels::cuda
