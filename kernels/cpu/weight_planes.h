// One row's block of a quantised type, taken apart: scales, minima and codes in the bit planes that
// the products read (product_codes.h). What packs a weight and what dequantises a row both start
// here.
#ifndef PARITY_KERNELS_CPU_WEIGHT_PLANES_H_
#define PARITY_KERNELS_CPU_WEIGHT_PLANES_H_

#include <cstdint>

namespace parity::kernels {

// A block of 32 or 256 columns: `units` of 32 columns with `bits` words each. `subs` sub-blocks
// have a scale (and a minimum) of their own; 0 for the types of 32 columns. What a type lacks is
// left as it is.
template <int bits, int units, int subs>
struct RowBlock {
  static constexpr int kBits = bits;  // 8: signed bytes, word c holds columns 4c..4c+3
  static constexpr int kUnits = units;
  static constexpr int kSubs = subs;

  uint16_t d;     // a half; MXFP4: a bfloat16
  uint16_t dmin;  // a half: the minimum, or what the minima are multiplied with
  int8_t scales[subs > 0 ? subs : 1];
  int8_t minima[subs > 0 ? subs : 1];
  uint32_t words[units][bits];
};

// Each reads one block as it lies in the file (kernels/reference/dequantize.cc has the layouts).
void TakeApartQ4_0(const uint8_t* block, RowBlock<4, 1, 0>* out);  // IQ4_NL too
void TakeApartQ4_1(const uint8_t* block, RowBlock<4, 1, 0>* out);
void TakeApartMxfp4(const uint8_t* block, RowBlock<4, 1, 0>* out);
void TakeApartQ5_0(const uint8_t* block, RowBlock<5, 1, 0>* out);
void TakeApartQ5_1(const uint8_t* block, RowBlock<5, 1, 0>* out);
void TakeApartQ8_0(const uint8_t* block, RowBlock<8, 1, 0>* out);
void TakeApartQ2_K(const uint8_t* block, RowBlock<2, 8, 16>* out);  // scales: both in one byte
void TakeApartQ3_K(const uint8_t* block, RowBlock<3, 8, 16>* out);
void TakeApartQ4_K(const uint8_t* block, RowBlock<4, 8, 8>* out);
void TakeApartQ5_K(const uint8_t* block, RowBlock<5, 8, 8>* out);
void TakeApartQ6_K(const uint8_t* block, RowBlock<6, 8, 16>* out);

// Column `column` of a unit of `bits` words: its unsigned code, or its signed byte.
int CodeAt(const uint32_t* words, int bits, int column);

}  // namespace parity::kernels

#endif  // PARITY_KERNELS_CPU_WEIGHT_PLANES_H_
