#include "collector/compare/emulated_pair_kernel.h"

#include "collector/compare/avx512_emulation.h"
// After it.
#include "collector/compare/pair_kernel_body.h"

namespace parity::compare {

const PairKernel& EmulatedAvx512PairKernel() {
  static constexpr PairKernel kKernel = {"avx512emulated", Accumulate, Largest, FirstExceeding,
                                         Weigh};
  return kKernel;
}

}  // namespace parity::compare
