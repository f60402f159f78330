// The inner products over one group of 16 output rows, one implementation per SIMD path: what
// MatMul dispatches to.
#ifndef PARITY_KERNELS_CPU_PRODUCT_H_
#define PARITY_KERNELS_CPU_PRODUCT_H_

#include <cstdint>

#include "kernels/dtype.h"

namespace parity::kernels {

// out[t * out_stride + r] = row r of the group times activation row t, for r < out_rows <= 16 and t
// < tokens.
struct GroupProduct {
  const uint8_t* group;        // a PackedWeight's group
  int64_t blocks;              // its blocks
  const uint8_t* activations;  // [tokens] prepared rows (quantize.h)
  int64_t activation_stride;   // bytes from one prepared row to the next
  int64_t tokens;
  float* out;
  int64_t out_stride;  // floats
  int out_rows;
  bool continues = false;  // out holds the sums of the columns before; these are added to them
};

using GroupProductFn = void (*)(const GroupProduct& product);

// Null when the type has no product. Each may be called only where its path is supported.
GroupProductFn ScalarProduct(DType dtype, Numerics numerics);
GroupProductFn Avx2Product(DType dtype, Numerics numerics);
GroupProductFn Avx512Product(DType dtype, Numerics numerics);
GroupProductFn Avx512VnniProduct(DType dtype, Numerics numerics);

// Test-only: the two AVX-512 sources compiled over an emulation of the instructions, for machines
// without them.
GroupProductFn EmulatedAvx512Product(DType dtype, Numerics numerics);
GroupProductFn EmulatedAvx512VnniProduct(DType dtype, Numerics numerics);

}  // namespace parity::kernels

#endif  // PARITY_KERNELS_CPU_PRODUCT_H_
