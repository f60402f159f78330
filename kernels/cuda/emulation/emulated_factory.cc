// CreateCudaBackend for a program whose card is emulated: one device, as large as its limit says.
//
// PARITY_EMULATED_FAULT_AFTER=N plants a fault that breaks the device once N kernels have run.
#include <cstdlib>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "kernels/cuda/cuda_backend.h"
#include "kernels/cuda/cuda_factory.h"
#include "kernels/cuda/emulation/emulated_device.h"

namespace parity::kernels::cuda {

absl::StatusOr<std::unique_ptr<Backend>> CreateCudaBackend(const CudaOptions& options) {
  if (options.device != 0) {
    return absl::NotFoundError(
        absl::StrCat("no CUDA device ", options.device, ": the emulation knows 1, 0 is the first"));
  }
  emulation::EmulatedOptions emulated;
  if (options.memory_limit > 0) emulated.memory_bytes = options.memory_limit;
  const char* const fault = std::getenv("PARITY_EMULATED_FAULT_AFTER");
  if (fault != nullptr) emulated.fault_after_kernels = std::atoll(fault);
  CudaBackendOptions backend = {.numerics = options.numerics, .on_broken = options.on_broken};
  if (options.on_plan) {
    backend.on_plan = [on_plan = options.on_plan](const MemoryPlan& p) { on_plan(p.ToString()); };
  }
  return std::unique_ptr<Backend>(
      new CudaBackend(std::make_unique<emulation::EmulatedDevice>(emulated), std::move(backend)));
}

}  // namespace parity::kernels::cuda
