#include "kernels/reference/reference_product.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "kernels/half.h"
#include "kernels/reference/dequantize.h"

namespace parity::kernels {
namespace {

constexpr int64_t kBlock = 32;

// ggml's quantize_row_q8_0 and q8_1: the scale as a half, the values by the float inverse of the
// unrounded scale.
void QuantizeBlock(const float* x, double* values, double* sum) {
  float most = 0.0f;
  for (int64_t i = 0; i < kBlock; ++i) most = std::max(most, std::fabs(x[i]));
  const float scale = most / 127.0f;
  const float inverse = most != 0.0f ? 127.0f / most : 0.0f;
  const double rounded = RoundToHalf(scale);
  int total = 0;
  for (int64_t i = 0; i < kBlock; ++i) {
    const int q = static_cast<int>(std::nearbyint(x[i] * inverse));
    values[i] = rounded * q;
    total += q;
  }
  *sum = RoundToHalf(scale * static_cast<float>(total));
}

bool HasMinimum(DType dtype) { return dtype == DType::kQ4_1; }

float HalfAt(const uint8_t* at) {
  uint16_t bits;
  std::memcpy(&bits, at, sizeof(bits));
  return HalfToFloat(bits);
}

}  // namespace

ReferenceActivations PrepareActivations(DType weight_type, Numerics numerics, const float* x,
                                        int64_t cols) {
  ReferenceActivations result;
  result.values.assign(x, x + cols);
  if (numerics == Numerics::kF32 || weight_type == DType::kF32) return result;
  if (weight_type == DType::kF16 || weight_type == DType::kBF16) {
    for (double& value : result.values) {
      const float v = static_cast<float>(value);
      value = weight_type == DType::kF16 ? RoundToHalf(v) : RoundToBf16(v);
    }
    return result;
  }
  for (int64_t i = 0; i < cols; i += kBlock) {
    double sum;
    QuantizeBlock(x + i, result.values.data() + i, &sum);
    if (HasMinimum(weight_type)) result.sums.push_back(sum);
  }
  return result;
}

double ReferenceProduct(const WeightSource& weight, int64_t row, const ReferenceActivations& x) {
  const DTypeTraits& traits = Traits(weight.dtype);
  const uint8_t* bytes = weight.bytes.data() + row * RowBytes(weight.dtype, weight.cols);
  double sum = 0;
  if (!x.sums.empty()) {
    // Q4_1: the minimum multiplies the rounded sum of the activations, not each of them.
    for (size_t b = 0; b < x.sums.size(); ++b, bytes += traits.block_bytes) {
      const double d = HalfAt(bytes);
      double products = 0;
      for (int64_t j = 0; j < kBlock; ++j) {
        const int q = j < 16 ? bytes[4 + j] & 15 : bytes[4 + j - 16] >> 4;
        products += q * x.values[b * kBlock + j];
      }
      sum += d * products + HalfAt(bytes + 2) * x.sums[b];
    }
    return sum;
  }
  std::vector<float> values(weight.cols);
  Dequantize(weight.dtype, bytes, weight.cols, values.data());
  for (int64_t k = 0; k < weight.cols; ++k) sum += static_cast<double>(values[k]) * x.values[k];
  return sum;
}

}  // namespace parity::kernels
