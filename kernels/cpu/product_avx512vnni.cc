// The products with AVX-512 VNNI: those of product_avx512.cc over its dot product instruction.
#include "kernels/cpu/product.h"

#if defined(PARITY_EMULATE_AVX512) || (defined(__AVX512BW__) && defined(__AVX512VNNI__))

#include "kernels/cpu/isa_avx512.h"
#include "kernels/cpu/product_groups.h"

namespace parity::kernels {

#ifdef PARITY_EMULATE_AVX512
GroupProductFn EmulatedAvx512VnniProduct(DType dtype, Numerics numerics) {
#else
GroupProductFn Avx512VnniProduct(DType dtype, Numerics numerics) {
#endif
  return Select<Avx512Isa<true>>(dtype, numerics);
}

}  // namespace parity::kernels

#else

namespace parity::kernels {

GroupProductFn Avx512VnniProduct(DType, Numerics) { return nullptr; }

}  // namespace parity::kernels

#endif
