#include "kernels/cpu/weight_layout.h"

#include <cstring>

#include "kernels/cpu/weight_planes.h"
#include "kernels/half.h"

namespace parity::kernels {
namespace {

uint16_t Load16(const uint8_t* p) {
  uint16_t bits;
  std::memcpy(&bits, p, sizeof(bits));
  return bits;
}

void Put32(const void* word, uint8_t* out) { std::memcpy(out, word, 4); }

// A quantised type, whose blocks `take` takes apart: 16 scales, 16 minima where the type has them,
// then words of 16 rows: the sub-blocks' scales, their minima where they are apart, the codes.
template <class Row, void (*take)(const uint8_t*, Row*), bool dmin, bool minima>
void PackBlocks(const uint8_t* const sources[kGroupRows], int /*columns*/, uint8_t* out) {
  for (int r = 0; r < kGroupRows; ++r) {
    Row row = {};
    if (sources[r] != nullptr) take(sources[r], &row);
    std::memcpy(out + 2 * r, &row.d, 2);
    if (dmin) std::memcpy(out + 2 * (kGroupRows + r), &row.dmin, 2);
    uint8_t* word = out + 2 * kGroupRows * (dmin ? 2 : 1) + 4 * r;
    constexpr int line = 4 * kGroupRows;
    for (int s = 0; s < Row::kSubs; s += 4, word += line) Put32(row.scales + s, word);
    if (minima) {
      for (int s = 0; s < Row::kSubs; s += 4, word += line) Put32(row.minima + s, word);
    }
    for (int u = 0; u < Row::kUnits; ++u) {
      for (int w = 0; w < Row::kBits; ++w, word += line) Put32(&row.words[u][w], word);
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

constexpr int8_t kIq4NlValues[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                     1,    13,   25,  38,  53,  69,  89,  113};
constexpr int8_t kMxfp4Values[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

// Types of 32 columns: (d code) + dmin. Every product is exact but MXFP4's smallest, so that order
// does not matter.
template <class Row, void (*take)(const uint8_t*, Row*), int block_bytes, int zero, bool dmin>
void DequantizeBlocks(const uint8_t* source, int64_t columns, float* out) {
  for (int64_t b = 0; b < columns / 32; ++b, source += block_bytes, out += 32) {
    Row row = {};
    take(source, &row);
    const float d = HalfToFloat(row.d), m = HalfToFloat(row.dmin);
    for (int k = 0; k < 32; ++k) {
      const float scaled = d * static_cast<float>(CodeAt(row.words[0], Row::kBits, k) - zero);
      out[k] = dmin ? scaled + m : scaled;
    }
  }
}

// Types of 32 columns whose codes stand for the values of a table.
template <void (*take)(const uint8_t*, RowBlock<4, 1, 0>*), int block_bytes,
          float (*to_float)(uint16_t), const int8_t* values>
void DequantizeTable(const uint8_t* source, int64_t columns, float* out) {
  for (int64_t b = 0; b < columns / 32; ++b, source += block_bytes, out += 32) {
    RowBlock<4, 1, 0> row = {};
    take(source, &row);
    const float d = to_float(row.d);
    for (int k = 0; k < 32; ++k) {
      out[k] = d * static_cast<float>(values[CodeAt(row.words[0], 4, k)]);
    }
  }
}

// K-quants: (d scale) (code - zero), less dmin minimum. Q2_K has both in a byte.
template <class Row, void (*take)(const uint8_t*, Row*), int block_bytes, int zero, bool dmin>
void DequantizeSuper(const uint8_t* source, int64_t columns, float* out) {
  for (int64_t b = 0; b < columns / 256; ++b, source += block_bytes, out += 256) {
    Row row = {};
    take(source, &row);
    const float d = HalfToFloat(row.d), m = HalfToFloat(row.dmin);
    for (int k = 0; k < 256; ++k) {
      const int sub = k / (256 / Row::kSubs);
      const bool one_byte = Row::kBits == 2;
      const int scale = one_byte ? row.scales[sub] & 15 : row.scales[sub];
      const int minimum = one_byte ? row.scales[sub] >> 4 & 15 : row.minima[sub];
      const int code = CodeAt(row.words[k / 32], Row::kBits, k % 32) - zero;
      const float scaled = d * static_cast<float>(scale) * static_cast<float>(code);
      out[k] = dmin ? scaled - m * static_cast<float>(minimum) : scaled;
    }
  }
}

using FourBits = RowBlock<4, 1, 0>;
using FiveBits = RowBlock<5, 1, 0>;
using Bytes = RowBlock<8, 1, 0>;
using SuperTwo = RowBlock<2, 8, 16>;
using SuperThree = RowBlock<3, 8, 16>;
using SuperFour = RowBlock<4, 8, 8>;
using SuperFive = RowBlock<5, 8, 8>;
using SuperSix = RowBlock<6, 8, 16>;

// {type, activations, columns and bytes of a group block, pack, dequantise}
constexpr WeightLayout kLayouts[] = {
    {DType::kF32, ActivationKind::kFloat, 32, 2048, PackElements<4>, DequantizeF32},
    {DType::kF16, ActivationKind::kHalf, 32, 1024, PackElements<2>, DequantizeF16},
    {DType::kBF16, ActivationKind::kBf16, 32, 1024, PackElements<2>, DequantizeBf16},
    {DType::kQ4_0, ActivationKind::kQ8, 32, 288, PackBlocks<FourBits, TakeApartQ4_0, false, false>,
     DequantizeBlocks<FourBits, TakeApartQ4_0, 18, 8, false>},
    {DType::kQ4_1, ActivationKind::kQ8, 32, 320, PackBlocks<FourBits, TakeApartQ4_1, true, false>,
     DequantizeBlocks<FourBits, TakeApartQ4_1, 20, 0, true>},
    {DType::kQ5_0, ActivationKind::kQ8, 32, 352, PackBlocks<FiveBits, TakeApartQ5_0, false, false>,
     DequantizeBlocks<FiveBits, TakeApartQ5_0, 22, 16, false>},
    {DType::kQ5_1, ActivationKind::kQ8, 32, 384, PackBlocks<FiveBits, TakeApartQ5_1, true, false>,
     DequantizeBlocks<FiveBits, TakeApartQ5_1, 24, 0, true>},
    {DType::kQ8_0, ActivationKind::kQ8, 32, 544, PackBlocks<Bytes, TakeApartQ8_0, false, false>,
     DequantizeBlocks<Bytes, TakeApartQ8_0, 34, 0, false>},
    {DType::kIQ4_NL, ActivationKind::kQ8, 32, 288,
     PackBlocks<FourBits, TakeApartQ4_0, false, false>,
     DequantizeTable<TakeApartQ4_0, 18, HalfToFloat, kIq4NlValues>},
    {DType::kMXFP4, ActivationKind::kQ8, 32, 288,
     PackBlocks<FourBits, TakeApartMxfp4, false, false>,
     DequantizeTable<TakeApartMxfp4, 17, Bf16ToFloat, kMxfp4Values>},
    {DType::kQ2_K, ActivationKind::kQ8K, 256, 1344,
     PackBlocks<SuperTwo, TakeApartQ2_K, true, false>,
     DequantizeSuper<SuperTwo, TakeApartQ2_K, 84, 0, true>},
    {DType::kQ3_K, ActivationKind::kQ8K, 256, 1824,
     PackBlocks<SuperThree, TakeApartQ3_K, false, false>,
     DequantizeSuper<SuperThree, TakeApartQ3_K, 110, 4, false>},
    {DType::kQ4_K, ActivationKind::kQ8K, 256, 2368,
     PackBlocks<SuperFour, TakeApartQ4_K, true, true>,
     DequantizeSuper<SuperFour, TakeApartQ4_K, 144, 0, true>},
    {DType::kQ5_K, ActivationKind::kQ8K, 256, 2880,
     PackBlocks<SuperFive, TakeApartQ5_K, true, true>,
     DequantizeSuper<SuperFive, TakeApartQ5_K, 176, 0, true>},
    {DType::kQ6_K, ActivationKind::kQ8K, 256, 3360,
     PackBlocks<SuperSix, TakeApartQ6_K, false, false>,
     DequantizeSuper<SuperSix, TakeApartQ6_K, 210, 32, false>},
};

}  // namespace

const WeightLayout* FindWeightLayout(DType dtype) {
  for (const WeightLayout& layout : kLayouts) {
    if (layout.dtype == dtype) return &layout;
  }
  return nullptr;
}

}  // namespace parity::kernels
