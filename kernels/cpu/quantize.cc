#include "kernels/cpu/quantize.h"

#include <glog/logging.h>

#include <bit>
#include <cmath>
#include <cstring>

#include "kernels/cpu/quantize_avx2.h"
#include "kernels/cpu/rounding.h"
#include "kernels/half.h"

namespace parity::kernels {
namespace {

// Rounds to the nearest integer, ties to even, saturated to +-127; what is out of an int's range is
// -127, as the conversion instruction's INT_MIN saturates.
int8_t Quantized(float x) {
  const float rounded = std::nearbyint(x);
  if (!(rounded >= -127.0f && rounded < 2147483648.0f)) return -127;
  return static_cast<int8_t>(rounded > 127.0f ? 127.0f : rounded);
}

void QuantizeBlock(const float* x, ActivationQuantization quantization, ActivationBlock* out) {
  uint32_t max_bits = 0;  // as bits, so that a NaN is the largest of all
  for (int i = 0; i < kActivationBlock; ++i) {
    const uint32_t bits = std::bit_cast<uint32_t>(x[i]) & 0x7fffffffu;
    if (bits > max_bits) max_bits = bits;
  }
  const ActivationScale scale = ScaleOf(std::bit_cast<float>(max_bits), quantization);
  int32_t sum = 0;
  for (int i = 0; i < kActivationBlock; ++i) {
    out->values[i] = max_bits >= 0x7f800000u ? 0 : Quantized(x[i] * scale.inverse);
    sum += out->values[i];
  }
  out->sum = sum;
  out->scale = RoundToHalf(scale.d);
  out->scaled_sum = RoundToHalf(scale.d * static_cast<float>(sum));
  out->unused = 0;
}

void QuantizeSuperBlock(const float* x, ActivationQuantization quantization,
                        ActivationSuperBlock* out) {
  uint32_t max_bits = 0;
  float largest = 0.0f;
  for (int i = 0; i < kActivationSuperBlock; ++i) {
    const uint32_t bits = std::bit_cast<uint32_t>(x[i]) & 0x7fffffffu;
    if (bits <= max_bits) continue;
    max_bits = bits;
    largest = x[i];
  }
  const ActivationScale scale = SuperScaleOf(largest, quantization);
  *out = {};
  for (int i = 0; i < kActivationSuperBlock; ++i) {
    const int8_t value = scale.inverse == 0.0f ? int8_t{0} : Quantized(x[i] * scale.inverse);
    out->values[i] = value;
    out->sums16[i / 16] = static_cast<int16_t>(out->sums16[i / 16] + value);
    out->sums32[i / 32] = static_cast<int16_t>(out->sums32[i / 32] + value);
  }
  out->scale = scale.d;
}

// `blocks` of BlockElements(kind).
void PrepareBlocks(ActivationKind kind, ActivationQuantization quantization, SimdPath path,
                   const float* x, int64_t blocks, uint8_t* out) {
  const bool vectors = path >= SimdPath::kAvx2;
  float* floats = reinterpret_cast<float*>(out);
  const int64_t elements = blocks * kActivationBlock;  // of the float kinds
  switch (kind) {
    case ActivationKind::kFloat:
      std::memcpy(floats, x, elements * sizeof(float));
      return;
    case ActivationKind::kHalf:
      if (vectors) return RoundToHalfAvx2(x, blocks, floats);
      for (int64_t i = 0; i < elements; ++i) floats[i] = RoundToHalf(x[i]);
      return;
    case ActivationKind::kBf16:
      if (vectors) return RoundToBf16Avx2(x, blocks, floats);
      for (int64_t i = 0; i < elements; ++i) floats[i] = RoundToBf16(x[i]);
      return;
    case ActivationKind::kQ8: {
      auto* quantized = reinterpret_cast<ActivationBlock*>(out);
      if (vectors) return QuantizeQ8Avx2(x, blocks, quantization, quantized);
      for (int64_t b = 0; b < blocks; ++b) {
        QuantizeBlock(x + b * kActivationBlock, quantization, quantized + b);
      }
      return;
    }
    case ActivationKind::kQ8K: {
      auto* quantized = reinterpret_cast<ActivationSuperBlock*>(out);
      if (vectors) return QuantizeQ8KAvx2(x, blocks, quantization, quantized);
      for (int64_t b = 0; b < blocks; ++b) {
        QuantizeSuperBlock(x + b * kActivationSuperBlock, quantization, quantized + b);
      }
      return;
    }
  }
  LOG(FATAL) << "unknown activation kind";
}

int64_t BlockBytes(ActivationKind kind) {
  switch (kind) {
    case ActivationKind::kQ8:
      return sizeof(ActivationBlock);
    case ActivationKind::kQ8K:
      return sizeof(ActivationSuperBlock);
    default:
      return kActivationBlock * sizeof(float);
  }
}

int64_t BlockElements(ActivationKind kind) {
  return kind == ActivationKind::kQ8K ? kActivationSuperBlock : kActivationBlock;
}

}  // namespace

int64_t ActivationRowBytes(ActivationKind kind, int64_t cols) {
  const int64_t elements = BlockElements(kind);
  return DivideUp(cols, elements) * BlockBytes(kind);
}

void PrepareActivationRow(ActivationKind kind, ActivationQuantization quantization, SimdPath path,
                          const float* x, int64_t cols, uint8_t* out) {
  const int64_t elements = BlockElements(kind);
  const int64_t whole = cols / elements;
  PrepareBlocks(kind, quantization, path, x, whole, out);
  const int64_t rest = cols % elements;
  if (rest == 0) return;
  float padded[kActivationSuperBlock] = {};
  std::memcpy(padded, x + whole * elements, rest * sizeof(float));
  PrepareBlocks(kind, quantization, path, padded, 1, out + whole * BlockBytes(kind));
}

}  // namespace parity::kernels
