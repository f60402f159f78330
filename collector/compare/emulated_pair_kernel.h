// The AVX-512 kernel over SIMDe, for tests on machines that lack the instructions.
#ifndef PARITY_COLLECTOR_COMPARE_EMULATED_PAIR_KERNEL_H_
#define PARITY_COLLECTOR_COMPARE_EMULATED_PAIR_KERNEL_H_

#include "collector/compare/pair_kernel.h"

namespace parity::compare {

// REQUIRES: the processor has AVX2 and FMA.
const PairKernel& EmulatedAvx512PairKernel();

}  // namespace parity::compare

#endif  // PARITY_COLLECTOR_COMPARE_EMULATED_PAIR_KERNEL_H_
