#include "kernels/cpu/vector_ops.h"

#include <glog/logging.h>

namespace parity::kernels {

const VectorOps& VectorOpsFor(SimdPath path) {
  CHECK(Supported(path)) << Name(path);
  return path == SimdPath::kScalar ? ScalarVectorOps() : Avx2VectorOps();
}

}  // namespace parity::kernels
