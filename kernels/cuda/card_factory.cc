#include <utility>

#include "kernels/cuda/cuda_backend.h"
#include "kernels/cuda/cuda_device.h"
#include "kernels/cuda/cuda_factory.h"
#include "proto/status/status_macros.h"

namespace parity::kernels::cuda {

absl::StatusOr<std::unique_ptr<Backend>> CreateCudaBackend(const CudaOptions& options) {
  ASSIGN_OR_RETURN(std::unique_ptr<Device> device,
                   CudaDevice::Open(options.device, options.memory_limit));
  CudaBackendOptions backend;
  backend.numerics = options.numerics;
  backend.on_broken = options.on_broken;
  if (options.on_plan) {
    backend.on_plan = [on_plan = options.on_plan](const MemoryPlan& p) { on_plan(p.ToString()); };
  }
  return std::unique_ptr<Backend>(new CudaBackend(std::move(device), std::move(backend)));
}

}  // namespace parity::kernels::cuda
