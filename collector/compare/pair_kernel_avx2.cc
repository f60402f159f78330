#include "collector/compare/pair_kernel_body.h"

namespace parity::compare {

const PairKernel& Avx2PairKernel() {
  static constexpr PairKernel kKernel = {"avx2", Accumulate, Largest, FirstExceeding, Weigh};
  return kKernel;
}

}  // namespace parity::compare
