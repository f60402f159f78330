// Whole units.
#ifndef PARITY_KERNELS_CPU_ROUNDING_H_
#define PARITY_KERNELS_CPU_ROUNDING_H_

#include <cstdint>

namespace parity::kernels {

// Units that hold n. REQUIRES: n >= 0, unit >= 1.
inline int64_t DivideUp(int64_t n, int64_t unit) { return n / unit + (n % unit != 0 ? 1 : 0); }

// The least multiple of `unit` that is not below n.
inline int64_t RoundUp(int64_t n, int64_t unit) { return DivideUp(n, unit) * unit; }

}  // namespace parity::kernels

#endif  // PARITY_KERNELS_CPU_ROUNDING_H_
