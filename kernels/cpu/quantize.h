// Activations as the products read them: rounded or quantised exactly as llama.cpp's CPU backend
// does.
#ifndef PARITY_KERNELS_CPU_QUANTIZE_H_
#define PARITY_KERNELS_CPU_QUANTIZE_H_

#include <cstdint>

#include "kernels/cpu/activation_block.h"
#include "kernels/cpu/simd_path.h"

namespace parity::kernels {

// Bytes of a prepared row: cols rounded up to whole blocks of 32, of 256 for kQ8K.
int64_t ActivationRowBytes(ActivationKind kind, int64_t cols);

// Writes one prepared row of ActivationRowBytes bytes, padded with zeros. Same bits on every path.
// out: aligned to 16 bytes.
void PrepareActivationRow(ActivationKind kind, ActivationQuantization quantization, SimdPath path,
                          const float* x, int64_t cols, uint8_t* out);

}  // namespace parity::kernels

#endif  // PARITY_KERNELS_CPU_QUANTIZE_H_
