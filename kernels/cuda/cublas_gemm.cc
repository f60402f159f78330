#include "kernels/cuda/cublas_gemm.h"

#include <cublas_v2.h>
#include <dlfcn.h>

#include <limits>
#include <string>

#include "absl/strings/str_cat.h"
#include "proto/status/status_macros.h"

namespace parity::kernels::cuda {

struct CublasFunctions {
  decltype(&cublasCreate_v2) create;
  decltype(&cublasDestroy_v2) destroy;
  decltype(&cublasSetStream_v2) set_stream;
  // Overloaded in C++, so spelt out.
  cublasStatus_t (*gemm_ex)(cublasHandle_t, cublasOperation_t, cublasOperation_t, int m, int n,
                            int k, const void* alpha, const void* a, cudaDataType, int lda,
                            const void* b, cudaDataType, int ldb, const void* beta, void* c,
                            cudaDataType, int ldc, cublasComputeType_t, cublasGemmAlgo_t);
  decltype(&cublasGetStatusString) status_string;
};

namespace {

template <typename Function>
absl::Status Find(void* library, const std::string& file, const char* name, Function& function) {
  function = reinterpret_cast<Function>(dlsym(library, name));
  if (function != nullptr) return absl::OkStatus();
  return absl::UnavailableError(absl::StrCat(file, " has no ", name));
}

absl::StatusOr<CublasFunctions> Open() {
  const std::string file = absl::StrCat("libcublas.so.", CUBLAS_VER_MAJOR);
  void* const library = dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    return absl::UnavailableError(
        absl::StrCat("cuBLAS: ", dlerror(), "; install it, or name its folder in LD_LIBRARY_PATH"));
  }
  CublasFunctions f = {};
  RETURN_IF_ERROR(Find(library, file, "cublasCreate_v2", f.create));
  RETURN_IF_ERROR(Find(library, file, "cublasDestroy_v2", f.destroy));
  RETURN_IF_ERROR(Find(library, file, "cublasSetStream_v2", f.set_stream));
  RETURN_IF_ERROR(Find(library, file, "cublasGemmEx", f.gemm_ex));
  RETURN_IF_ERROR(Find(library, file, "cublasGetStatusString", f.status_string));
  return f;
}

cudaDataType TypeOf(GemmType type) {
  switch (type) {
    case GemmType::kFloat:
      return CUDA_R_32F;
    case GemmType::kHalf:
      return CUDA_R_16F;
    case GemmType::kBf16:
      return CUDA_R_16BF;
  }
  return CUDA_R_32F;
}

cublasOperation_t OperationOf(bool transpose) { return transpose ? CUBLAS_OP_T : CUBLAS_OP_N; }

}  // namespace

absl::StatusOr<const CublasFunctions*> LoadCublas() {
  // Never closed: the library keeps threads and device state of its own.
  static const auto& functions = *new absl::StatusOr<CublasFunctions>(Open());
  RETURN_IF_ERROR(functions.status());
  return &*functions;
}

absl::StatusOr<std::unique_ptr<CublasGemm>> CublasGemm::Create(void* stream) {
  ASSIGN_OR_RETURN(const CublasFunctions* functions, LoadCublas());
  cublasHandle_t handle = nullptr;
  cublasStatus_t status = functions->create(&handle);
  if (status != CUBLAS_STATUS_SUCCESS) {
    return absl::UnavailableError(absl::StrCat("cuBLAS: ", functions->status_string(status)));
  }
  std::unique_ptr<CublasGemm> gemm(new CublasGemm(*functions, handle));
  status = functions->set_stream(handle, static_cast<cudaStream_t>(stream));
  if (status != CUBLAS_STATUS_SUCCESS) {
    return absl::UnavailableError(absl::StrCat("cuBLAS: ", functions->status_string(status)));
  }
  return gemm;
}

CublasGemm::~CublasGemm() { functions_.destroy(static_cast<cublasHandle_t>(handle_)); }

absl::Status CublasGemm::Multiply(const GemmCall& call) {
  const ColumnMajorGemm g = ColumnMajor(call);
  for (int64_t size : {g.m, g.n, g.k, g.lda, g.ldb, g.ldc}) {
    if (size > std::numeric_limits<int>::max()) {
      return absl::UnimplementedError(absl::StrCat("a product with ", size, " rows or columns"));
    }
  }
  const float one = 1.0f, zero = 0.0f;
  const cudaDataType type = TypeOf(call.type);
  // Pedantic: a float product never becomes TF32, whatever the environment asks for.
  const cublasComputeType_t compute =
      call.type == GemmType::kFloat ? CUBLAS_COMPUTE_32F_PEDANTIC : CUBLAS_COMPUTE_32F;
  const cublasStatus_t status = functions_.gemm_ex(
      static_cast<cublasHandle_t>(handle_), OperationOf(g.transpose_a), OperationOf(g.transpose_b),
      static_cast<int>(g.m), static_cast<int>(g.n), static_cast<int>(g.k), &one, call.weight, type,
      static_cast<int>(g.lda), call.x, type, static_cast<int>(g.ldb), &zero, call.out, CUDA_R_32F,
      static_cast<int>(g.ldc), compute, CUBLAS_GEMM_DEFAULT);
  if (status == CUBLAS_STATUS_SUCCESS) return absl::OkStatus();
  return absl::InternalError(absl::StrCat("cuBLAS: ", functions_.status_string(status),
                                          " for a product of ", call.rows, " rows, ", call.outputs,
                                          " outputs, ", call.inputs, " inputs"));
}

}  // namespace parity::kernels::cuda
