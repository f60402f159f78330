// The dense product by cuBLAS, which is opened when it is asked for: a worker starts, and computes
// on the CPU, where there is none.
#ifndef PARITY_KERNELS_CUDA_CUBLAS_GEMM_H_
#define PARITY_KERNELS_CUDA_CUBLAS_GEMM_H_

#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "kernels/cuda/gemm.h"

namespace parity::kernels::cuda {

struct CublasFunctions;

// The library and the functions this build uses of it. UNAVAILABLE with the loader's answer.
absl::StatusOr<const CublasFunctions*> LoadCublas();

class CublasGemm : public Gemm {
 public:
  // On the current device, queued on `stream` (a cudaStream_t). UNAVAILABLE with the loader's or
  // the library's answer.
  static absl::StatusOr<std::unique_ptr<CublasGemm>> Create(void* stream);
  ~CublasGemm() override;
  absl::Status Multiply(const GemmCall& call) override;

 private:
  CublasGemm(const CublasFunctions& functions, void* handle)
      : functions_(functions), handle_(handle) {}

  const CublasFunctions& functions_;
  void* const handle_;  // cublasHandle_t
};

}  // namespace parity::kernels::cuda

#endif  // PARITY_KERNELS_CUDA_CUBLAS_GEMM_H_
