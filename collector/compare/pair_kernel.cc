#include "collector/compare/pair_kernel.h"

namespace parity::compare {

const PairKernel& BestPairKernel() {
  static const PairKernel& best = [&]() -> const PairKernel& {
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl")) {
      return Avx512PairKernel();
    }
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return Avx2PairKernel();
#endif
    return ScalarPairKernel();
  }();
  return best;
}

}  // namespace parity::compare
