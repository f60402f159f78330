// The AVX2 half of quantize.cc: whole blocks only, the same bits as its scalar half.
#ifndef PARITY_KERNELS_CPU_QUANTIZE_AVX2_H_
#define PARITY_KERNELS_CPU_QUANTIZE_AVX2_H_

#include <cstdint>

#include "kernels/cpu/activation_block.h"

namespace parity::kernels {

// Each converts `blocks` x 32 floats. REQUIRES: Supported(SimdPath::kAvx2).
void RoundToHalfAvx2(const float* x, int64_t blocks, float* out);
void RoundToBf16Avx2(const float* x, int64_t blocks, float* out);
void QuantizeQ8Avx2(const float* x, int64_t blocks, ActivationQuantization quantization,
                    ActivationBlock* out);
// The same for `blocks` x 256 floats.
void QuantizeQ8KAvx2(const float* x, int64_t blocks, ActivationQuantization quantization,
                     ActivationSuperBlock* out);

}  // namespace parity::kernels

#endif  // PARITY_KERNELS_CPU_QUANTIZE_AVX2_H_
