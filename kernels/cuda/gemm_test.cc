#include "kernels/cuda/gemm.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

namespace parity::kernels::cuda {
namespace {

// C = op(A) op(B) as the BLAS standard defines it, column-major.
void Blas(const ColumnMajorGemm& g, const float* a, const float* b, float* c) {
  for (int64_t i = 0; i < g.m; ++i) {
    for (int64_t j = 0; j < g.n; ++j) {
      float sum = 0;
      for (int64_t p = 0; p < g.k; ++p) {
        sum += (g.transpose_a ? a[p + i * g.lda] : a[i + p * g.lda]) *
               (g.transpose_b ? b[j + p * g.ldb] : b[p + j * g.ldb]);
      }
      c[i + j * g.ldc] = sum;
    }
  }
}

// No two sizes are equal, so that an exchanged one shows.
TEST(ColumnMajorTest, IsTheRowMajorProduct) {
  constexpr int64_t kOutputs = 3, kInputs = 5, kRows = 2, kStride = 7;
  std::vector<float> weight(kOutputs * kInputs), x(kRows * kInputs), out(kRows * kStride, -1.0f);
  for (size_t i = 0; i < weight.size(); ++i) weight[i] = static_cast<float>(i * i % 11) - 4;
  for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i * 3 % 7) - 2;
  const GemmCall call = {GemmType::kFloat, kOutputs, kInputs,    kRows,
                         weight.data(),    x.data(), out.data(), kStride};
  Blas(ColumnMajor(call), weight.data(), x.data(), out.data());
  for (int64_t t = 0; t < kRows; ++t) {
    for (int64_t r = 0; r < kStride; ++r) {
      float expected = r < kOutputs ? 0.0f : -1.0f;  // beyond the outputs nothing is written
      for (int64_t k = 0; r < kOutputs && k < kInputs; ++k) {
        expected += weight[r * kInputs + k] * x[t * kInputs + k];
      }
      EXPECT_EQ(out[t * kStride + r], expected) << t << " " << r;
    }
  }
}

}  // namespace
}  // namespace parity::kernels::cuda
