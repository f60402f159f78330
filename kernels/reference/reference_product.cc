#include "kernels/reference/reference_product.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "kernels/half.h"
#include "kernels/reference/dequantize.h"

namespace parity::kernels {
namespace {

constexpr int64_t kBlock = 32;
constexpr int64_t kSuperBlock = 256;

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

// ggml's quantize_row_q8_K: one float scale for 256 values, by the first of the largest magnitude.
// Its sums of values are integers, so nothing but the values need be kept.
void QuantizeSuperBlock(const float* x, double* values) {
  float largest = 0.0f;
  for (int64_t i = 0; i < kSuperBlock; ++i) {
    if (std::fabs(x[i]) > std::fabs(largest)) largest = x[i];
  }
  const float inverse = -127.0f / largest;
  const bool zeros = largest == 0.0f || std::isinf(inverse);
  const double scale = zeros ? 0.0f : 1.0f / inverse;
  for (int64_t i = 0; i < kSuperBlock; ++i) {
    const float rounded = std::nearbyint(x[i] * inverse);
    values[i] = zeros ? 0.0 : scale * (rounded > 127.0f ? 127.0f : rounded);
  }
}

// The types whose minimum multiplies the rounded sum of the activations, not each of them.
bool HasMinimum(DType dtype) { return dtype == DType::kQ4_1 || dtype == DType::kQ5_1; }

// Value j of a block of Q4_1 or Q5_1.
int CodeOf(DType dtype, const uint8_t* block, int64_t j) {
  const uint8_t* nibbles = block + (dtype == DType::kQ4_1 ? 4 : 8);
  const int low = j < 16 ? nibbles[j] & 15 : nibbles[j - 16] >> 4;
  if (dtype == DType::kQ4_1) return low;
  return low | (block[4 + j / 8] >> (j % 8) & 1) << 4;
}

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
  if (Traits(weight_type).block_elements == kSuperBlock) {
    for (int64_t i = 0; i < cols; i += kSuperBlock) {
      QuantizeSuperBlock(x + i, result.values.data() + i);
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
    for (size_t b = 0; b < x.sums.size(); ++b, bytes += traits.block_bytes) {
      const double d = HalfAt(bytes);
      double products = 0;
      for (int64_t j = 0; j < kBlock; ++j) {
        products += CodeOf(weight.dtype, bytes, j) * x.values[b * kBlock + j];
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
