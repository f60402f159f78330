// The table of one path, from the functions of its own compilation. Textual header, see lanes.h.
#ifndef PARITY_KERNELS_CPU_VECTOR_OPS_TABLE_H_
#define PARITY_KERNELS_CPU_VECTOR_OPS_TABLE_H_

#include "kernels/cpu/attention_lanes.h"
#include "kernels/cpu/elementwise.h"
#include "kernels/cpu/vector_ops.h"

namespace parity::kernels::PARITY_LANES {

constexpr VectorOps kVectorOps = {
    &RmsNormNative,
    &RmsNormF32,
    &SiluNative,
    &SiluF32,
    &GeluF32,
    &ToHalves,
    &ThroughHalves,
    &Add,
    &ExpFloats,
    &ExpDoubles,
    kAttentionOps<FloatLanes, uint16_t>,
    kAttentionOps<FloatLanes, float>,
    kAttentionOps<DoubleLanes, uint16_t>,
    kAttentionOps<DoubleLanes, float>,
};

}  // namespace parity::kernels::PARITY_LANES

#endif  // PARITY_KERNELS_CPU_VECTOR_OPS_TABLE_H_
