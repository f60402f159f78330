// The dense product of prefill, behind the thinnest interface: cuBLAS on a card (cublas_gemm.h), a
// plain loop under the emulation.
#ifndef PARITY_KERNELS_CUDA_GEMM_H_
#define PARITY_KERNELS_CUDA_GEMM_H_

#include <cstdint>

#include "absl/status/status.h"

namespace parity::kernels::cuda {

enum class GemmType { kFloat, kHalf, kBf16 };

// out[t * out_stride + r] = sum_k weight[r * inputs + k] x[t * inputs + k], for r < outputs and
// t < rows: everything row-major. weight and x have the type's elements; products and sums are
// float (never TF32), out is float.
struct GemmCall {
  GemmType type;
  int64_t outputs;
  int64_t inputs;
  int64_t rows;
  const void* weight;
  const void* x;
  float* out;
  int64_t out_stride;
};

class Gemm {
 public:
  virtual ~Gemm() = default;
  // Queues the product. An error is the library's own answer.
  virtual absl::Status Multiply(const GemmCall& call) = 0;
};

// The same product for a library whose matrices are column-major, as BLAS counts them: the bytes of
// a row-major [outputs, inputs] weight are a column-major matrix of `inputs` rows and `outputs`
// columns, so the weight is transposed, the activations are not, and the result's bytes are
// row-major [rows, outputs]: C(m x n) = op_a(A) op_b(B).
struct ColumnMajorGemm {
  bool transpose_a;
  bool transpose_b;
  int64_t m, n, k;
  int64_t lda, ldb, ldc;
};

inline ColumnMajorGemm ColumnMajor(const GemmCall& call) {
  return {.transpose_a = true,
          .transpose_b = false,
          .m = call.outputs,
          .n = call.rows,
          .k = call.inputs,
          .lda = call.inputs,
          .ldb = call.inputs,
          .ldc = call.out_stride};
}

}  // namespace parity::kernels::cuda

#endif  // PARITY_KERNELS_CUDA_GEMM_H_
