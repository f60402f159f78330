#include "kernels/cpu/weight_layout.h"

#include <cstring>

#include "kernels/half.h"

namespace parity::kernels {
namespace {

uint16_t Load16(const uint8_t* p) {
  uint16_t bits;
  std::memcpy(&bits, p, sizeof(bits));
  return bits;
}

// A type of 32-value blocks: `scales` halves, then value_bytes bytes of values.
template <int scales, int value_bytes>
void PackBlocks(const uint8_t* const sources[kGroupRows], int /*columns*/, uint8_t* out) {
  constexpr int header = 2 * kGroupRows * scales;
  for (int r = 0; r < kGroupRows; ++r) {
    const uint8_t* source = sources[r];
    for (int s = 0; s < scales; ++s) {
      uint8_t* half = out + 2 * (s * kGroupRows + r);
      if (source == nullptr) {
        std::memset(half, 0, 2);
      } else {
        std::memcpy(half, source + 2 * s, 2);
      }
    }
    for (int c = 0; c < value_bytes / 4; ++c) {
      uint8_t* word = out + header + 4 * (c * kGroupRows + r);
      if (source == nullptr) {
        std::memset(word, 0, 4);
      } else {
        std::memcpy(word, source + 2 * scales + 4 * c, 4);
      }
    }
  }
}

// An unquantised type: [column][row], zeros past the last column and row.
template <int element_bytes>
void PackElements(const uint8_t* const sources[kGroupRows], int columns, uint8_t* out) {
  std::memset(out, 0, kActivationBlock * kGroupRows * element_bytes);
  for (int r = 0; r < kGroupRows; ++r) {
    if (sources[r] == nullptr) continue;
    for (int c = 0; c < columns; ++c) {
      std::memcpy(out + (c * kGroupRows + r) * element_bytes, sources[r] + c * element_bytes,
                  element_bytes);
    }
  }
}

void DequantizeF32(const uint8_t* source, int64_t columns, float* out) {
  std::memcpy(out, source, columns * sizeof(float));
}

void DequantizeF16(const uint8_t* source, int64_t columns, float* out) {
  for (int64_t i = 0; i < columns; ++i) out[i] = HalfToFloat(Load16(source + 2 * i));
}

void DequantizeBf16(const uint8_t* source, int64_t columns, float* out) {
  for (int64_t i = 0; i < columns; ++i) out[i] = Bf16ToFloat(Load16(source + 2 * i));
}

template <bool minimum>
void DequantizeQ4(const uint8_t* source, int64_t columns, float* out) {
  constexpr int header = minimum ? 4 : 2;
  constexpr int zero = minimum ? 0 : 8;
  for (int64_t b = 0; b < columns / 32; ++b, source += header + 16, out += 32) {
    const float d = HalfToFloat(Load16(source));
    const float m = minimum ? HalfToFloat(Load16(source + 2)) : 0.0f;
    for (int j = 0; j < 16; ++j) {
      const int byte = source[header + j];
      const float low = d * static_cast<float>((byte & 15) - zero);
      const float high = d * static_cast<float>((byte >> 4) - zero);
      out[j] = minimum ? low + m : low;
      out[j + 16] = minimum ? high + m : high;
    }
  }
}

void DequantizeQ8_0(const uint8_t* source, int64_t columns, float* out) {
  for (int64_t b = 0; b < columns / 32; ++b, source += 34, out += 32) {
    const float d = HalfToFloat(Load16(source));
    for (int j = 0; j < 32; ++j) {
      out[j] = d * static_cast<float>(static_cast<int8_t>(source[2 + j]));
    }
  }
}

constexpr WeightLayout kLayouts[] = {
    {DType::kF32, ActivationKind::kFloat, 32, 2048, PackElements<4>, DequantizeF32},
    {DType::kF16, ActivationKind::kHalf, 32, 1024, PackElements<2>, DequantizeF16},
    {DType::kBF16, ActivationKind::kBf16, 32, 1024, PackElements<2>, DequantizeBf16},
    {DType::kQ4_0, ActivationKind::kQ8, 32, 288, PackBlocks<1, 16>, DequantizeQ4<false>},
    {DType::kQ4_1, ActivationKind::kQ8, 32, 320, PackBlocks<2, 16>, DequantizeQ4<true>},
    {DType::kQ8_0, ActivationKind::kQ8, 32, 544, PackBlocks<1, 32>, DequantizeQ8_0},
};

}  // namespace

const WeightLayout* FindWeightLayout(DType dtype) {
  for (const WeightLayout& layout : kLayouts) {
    if (layout.dtype == dtype) return &layout;
  }
  return nullptr;
}

}  // namespace parity::kernels
