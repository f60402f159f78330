// The matrix products of the CPU engine: packed weight times activation rows.
//
// Bits: an output depends on its weight row and its activation row only, never on the SIMD path,
// the threads or the other rows of the call. kernels/cpu/README.md gives the order of every sum.
#ifndef PARITY_KERNELS_CPU_MATMUL_H_
#define PARITY_KERNELS_CPU_MATMUL_H_

#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "kernels/cpu/packed_weight.h"
#include "kernels/cpu/product.h"
#include "kernels/cpu/quantize.h"
#include "kernels/cpu/simd_path.h"
#include "kernels/cpu/thread_pool.h"
#include "kernels/dtype.h"

namespace parity::kernels {

// What one engine's products share: how they are computed, on which threads, and scratch that keeps
// its size. Threading: one MatMul at a time per context. `pool` must outlive it.
class MatMulContext {
 public:
  // REQUIRES: Supported(path).
  MatMulContext(SimdPath path, Numerics numerics, ThreadPool& pool,
                ActivationQuantization quantization = ActivationQuantization::kLlama);

  SimdPath path() const { return path_; }
  Numerics numerics() const { return numerics_; }
  ThreadPool& pool() const { return pool_; }
  ActivationQuantization quantization() const { return quantization_; }

  // At least `bytes` bytes, 64-byte aligned; the previous scratch is gone.
  uint8_t* Scratch(int64_t bytes);

 private:
  SimdPath path_;
  Numerics numerics_;
  ThreadPool& pool_;
  ActivationQuantization quantization_;
  std::vector<uint8_t> scratch_;
};

// A weight, and where its products go: [rows, weight->rows()], row-major.
struct MatMulTarget {
  const PackedWeight* weight;
  float* out;
};

// out[t, r] = sum_k weight[r, k] * x[t, k] for each target; x: [rows, weight->cols()], row-major,
// the same columns for all. Rows are prepared once for all weights that want them alike, and the
// threads meet once. No out may overlap x or another. An activation that is not finite makes its
// row of outputs NaN under native numerics of quantised types.
void MatMul(const float* x, int64_t rows, absl::Span<const MatMulTarget> targets,
            MatMulContext& context);

// The same with a given product: for tests of products that this machine's paths do not reach.
void MatMulUsing(GroupProductFn product, const float* x, int64_t rows, const MatMulTarget& target,
                 MatMulContext& context);

}  // namespace parity::kernels

#endif  // PARITY_KERNELS_CPU_MATMUL_H_
