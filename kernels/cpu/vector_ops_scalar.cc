// Compiled for the baseline machine: fused multiply-adds and half conversions in software.
#define PARITY_LANES lanes_scalar
#include "kernels/cpu/vector_ops_table.h"

namespace parity::kernels {

const VectorOps& ScalarVectorOps() { return lanes_scalar::kVectorOps; }

}  // namespace parity::kernels
