// Compiled with -mavx2 -mfma -mf16c.
#define PARITY_LANES lanes_avx2
#include "kernels/cpu/vector_ops_table.h"

#if defined(__x86_64__)
static_assert(PARITY_LANES_AVX2, "built without this path's flags");
#endif

namespace parity::kernels {

const VectorOps& Avx2VectorOps() { return lanes_avx2::kVectorOps; }

}  // namespace parity::kernels
