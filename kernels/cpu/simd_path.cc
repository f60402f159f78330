#include "kernels/cpu/simd_path.h"

namespace parity::kernels {
namespace {

// The compiler's own detection: it also asks the operating system whether it saves the wide
// registers.
SimdPath Detect() {
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma") ||
      !__builtin_cpu_supports("f16c")) {
    return SimdPath::kScalar;
  }
  if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512bw") ||
      !__builtin_cpu_supports("avx512vl") || !__builtin_cpu_supports("avx512dq")) {
    return SimdPath::kAvx2;
  }
  return __builtin_cpu_supports("avx512vnni") ? SimdPath::kAvx512Vnni : SimdPath::kAvx512;
#else
  return SimdPath::kScalar;
#endif
}

}  // namespace

SimdPath BestSimdPath() {
  static const SimdPath best = Detect();
  return best;
}

bool Supported(SimdPath path) { return path <= BestSimdPath(); }

const char* Name(SimdPath path) {
  switch (path) {
    case SimdPath::kScalar:
      return "scalar";
    case SimdPath::kAvx2:
      return "avx2";
    case SimdPath::kAvx512:
      return "avx512";
    case SimdPath::kAvx512Vnni:
      return "avx512vnni";
  }
  return "unknown";
}

}  // namespace parity::kernels
