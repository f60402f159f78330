// What bounds the products on this machine, measured: for benchmarks.
#ifndef PARITY_KERNELS_CPU_PEAK_RATES_H_
#define PARITY_KERNELS_CPU_PEAK_RATES_H_

#include <cstdint>

namespace parity::kernels {

// Bytes a second that `threads` threads together read from memory of `bytes` bytes (rounded down to
// 2 MiB), the best of several passes. REQUIRES: bytes >= 2 MiB, threads >= 1.
double ReadBytesPerSecond(int64_t bytes, int threads);

// Products of bytes a second of `threads` threads together, with operands in registers: AVX2's
// maddubs and its addition in 16 bits, which waits for it, as in any sum. 0 on machines without
// AVX2.
double ByteProductsPerSecond(int threads);

}  // namespace parity::kernels

#endif  // PARITY_KERNELS_CPU_PEAK_RATES_H_
