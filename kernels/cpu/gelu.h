// GELU (tanh form) as llama.cpp's CPU backend computes it: through a table of halves.
#ifndef PARITY_KERNELS_CPU_GELU_H_
#define PARITY_KERNELS_CPU_GELU_H_

#include <cstdint>

namespace parity::kernels {

// out[i] = half(gelu(half(gate[i]))) * up[i]; 0 at or below -10 and gate[i] * up[i] at or above 10.
// out may be gate or up. The table (65536 halves) is computed at the first call. Thread-safe.
void GeluTimesNative(const float* gate, const float* up, int64_t n, float* out);

}  // namespace parity::kernels

#endif  // PARITY_KERNELS_CPU_GELU_H_
