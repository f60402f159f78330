// How each weight type lies in memory for the CPU products: the type table that a new type joins.
//
// A type joins here and in weight_planes.h (its layout), and in product_types.h or product_super.h
// (its product).
//
// 16 output rows make a group; a group is a run of blocks in order of columns. Inside a group
// block, scales come first, as 16 halves each, then everything else interleaved in words of four
// bytes per row, so that 64 bytes hold the same word of 16 rows; product_codes.h has the order of
// codes of less than a byte. A packed weight is as large as the file's bytes (and rows up to the
// next 16), but for Q4_K, Q5_K (+3%, +2%: scales of whole bytes), Q3_K (+4%) and MXFP4 (+6%: scales
// of two bytes).
#ifndef PARITY_KERNELS_CPU_WEIGHT_LAYOUT_H_
#define PARITY_KERNELS_CPU_WEIGHT_LAYOUT_H_

#include <cstdint>

#include "kernels/cpu/activation_block.h"
#include "kernels/dtype.h"

namespace parity::kernels {

inline constexpr int kGroupRows = 16;

struct WeightLayout {
  DType dtype;
  ActivationKind activations;  // under native numerics
  int block_columns;           // columns of one group block
  int group_block_bytes;       // bytes of one group block: 16 rows x block_columns

  // Packs the columns of one block of 16 rows. sources[r] points at row r's bytes of these columns,
  // or is null past the last row (then zeros). `columns` < block_columns only for the unquantised
  // types, whose rows may end anywhere.
  void (*pack)(const uint8_t* const sources[kGroupRows], int columns, uint8_t* out);
  // Dequantises `columns` values of a row as it lies in the file; whole blocks for the quantised
  // types.
  void (*dequantize)(const uint8_t* source, int64_t columns, float* out);
};

// Null when there is no product for the type.
const WeightLayout* FindWeightLayout(DType dtype);

}  // namespace parity::kernels

#endif  // PARITY_KERNELS_CPU_WEIGHT_LAYOUT_H_
