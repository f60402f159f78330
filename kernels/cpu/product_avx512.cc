// The products with AVX-512 F, BW, VL and DQ.
#include "kernels/cpu/product.h"

#if defined(PARITY_EMULATE_AVX512) || (defined(__AVX512BW__) && defined(__AVX512VL__))

#include "kernels/cpu/isa_avx512.h"
#include "kernels/cpu/product_groups.h"

namespace parity::kernels {

#ifdef PARITY_EMULATE_AVX512
GroupProductFn EmulatedAvx512Product(DType dtype, Numerics numerics) {
#else
GroupProductFn Avx512Product(DType dtype, Numerics numerics) {
#endif
  return Select<Avx512Isa<false>>(dtype, numerics);
}

}  // namespace parity::kernels

#else

namespace parity::kernels {

GroupProductFn Avx512Product(DType, Numerics) { return nullptr; }

}  // namespace parity::kernels

#endif
