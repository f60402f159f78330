// The CUDA backend on a card of this machine, or the reason why there is none.
#ifndef PARITY_KERNELS_CUDA_CUDA_FACTORY_H_
#define PARITY_KERNELS_CUDA_CUDA_FACTORY_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "kernels/backend.h"
#include "kernels/dtype.h"

namespace parity::kernels::cuda {

struct CudaOptions {
  int device = 0;            // as the driver counts them
  int64_t memory_limit = 0;  // most bytes this process takes of the card; 0: all that is free
  Numerics numerics = Numerics::kNative;
  // Called once, on the thread that notices, when the card has failed for good.
  std::function<void(const absl::Status&)> on_broken;
  // Told by Backend::Prepare what is needed and what is free, before anything is allocated.
  std::function<void(const std::string&)> on_plan;
};

// UNIMPLEMENTED: built without a CUDA toolkit, or the card is too old. UNAVAILABLE with the
// driver's or the loader's answer. NOT_FOUND: no such card.
absl::StatusOr<std::unique_ptr<Backend>> CreateCudaBackend(const CudaOptions& options);

}  // namespace parity::kernels::cuda

#endif  // PARITY_KERNELS_CUDA_CUDA_FACTORY_H_
