#include "collector/compare/pair_kernel_body.h"

namespace parity::compare {

const PairKernel& ScalarPairKernel() {
  static constexpr PairKernel kKernel = {"scalar", Accumulate, Largest, FirstExceeding, Weigh};
  return kKernel;
}

}  // namespace parity::compare
