// The instruction sets the CPU engine has products for, and which of them this machine runs.
#ifndef PARITY_KERNELS_CPU_SIMD_PATH_H_
#define PARITY_KERNELS_CPU_SIMD_PATH_H_

#include <cstdint>

namespace parity::kernels {

// In rising order: a machine that supports one supports those before it. All give the same bits.
enum class SimdPath : uint8_t {
  kScalar,      // no vector instructions asked for
  kAvx2,        // AVX2, FMA, F16C
  kAvx512,      // AVX-512 F, BW, VL, DQ
  kAvx512Vnni,  // and VNNI
};

// The widest path this machine (CPU and operating system) runs.
SimdPath BestSimdPath();
bool Supported(SimdPath path);
const char* Name(SimdPath path);  // "scalar", "avx2", "avx512", "avx512vnni"

}  // namespace parity::kernels

#endif  // PARITY_KERNELS_CPU_SIMD_PATH_H_
