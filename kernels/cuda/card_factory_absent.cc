// The factory of a build without a CUDA toolkit.
#include "absl/status/status.h"
#include "kernels/cuda/cuda_factory.h"

namespace parity::kernels::cuda {

absl::StatusOr<std::unique_ptr<Backend>> CreateCudaBackend(const CudaOptions& options) {
  return absl::UnimplementedError(
      "this build has no CUDA engine: no CUDA toolkit was found when it was built; use --engine "
      "cpu or --engine llama");
}

}  // namespace parity::kernels::cuda
