// What bounds the products on this machine, measured: for benchmarks.
#ifndef PARITY_KERNELS_CPU_PEAK_RATES_H_
#define PARITY_KERNELS_CPU_PEAK_RATES_H_

#include <cstdint>

namespace parity::kernels {

// Bytes a second that one thread reads from memory of `bytes` bytes (rounded down to 2 MiB), the
// best of several passes.
double ReadBytesPerSecond(int64_t bytes);

// Products of bytes a second of one thread whose operands are in registers: AVX2's maddubs and its
// addition in 16 bits. 0 on machines without AVX2.
double ByteProductsPerSecond();

}  // namespace parity::kernels

#endif  // PARITY_KERNELS_CPU_PEAK_RATES_H_
