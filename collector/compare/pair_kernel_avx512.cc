#include "collector/compare/pair_kernel_body.h"

namespace parity::compare {

const PairKernel& Avx512PairKernel() {
  static constexpr PairKernel kKernel = {"avx512", Accumulate, Largest, FirstExceeding, Weigh};
  return kKernel;
}

}  // namespace parity::compare
