// Weight blocks to floats, one plain function per type: the definition the backends are measured
// against.
#ifndef PARITY_KERNELS_REFERENCE_DEQUANTIZE_H_
#define PARITY_KERNELS_REFERENCE_DEQUANTIZE_H_

#include <cstdint>

#include "kernels/dtype.h"

namespace parity::kernels {

// out[0..elements) = the values of RowBytes(dtype, elements) bytes, to the bit those of ggml's
// to_float. REQUIRES: elements is a multiple of the type's block.
void Dequantize(DType dtype, const uint8_t* bytes, int64_t elements, float* out);

}  // namespace parity::kernels

#endif  // PARITY_KERNELS_REFERENCE_DEQUANTIZE_H_
