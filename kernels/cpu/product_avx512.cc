// The products with AVX-512 F, BW, VL and DQ.
#include "kernels/cpu/product.h"

#if defined(PARITY_EMULATE_AVX512) || (defined(__AVX512BW__) && defined(__AVX512VL__))

#include "kernels/cpu/isa_avx512.h"
#include "kernels/cpu/product_tiles.h"

namespace parity::kernels {
namespace {

struct Avx512Isa : Avx512Common {
  // Sums of a block stay in 16 bits: 8 chunks x 2 products x 15 x 127 = 30480.
  static I DotSmall(I sum, I w, I x) { return _mm512_add_epi16(sum, _mm512_maddubs_epi16(w, x)); }
  static I FinishSmall(I sum) { return _mm512_madd_epi16(sum, _mm512_set1_epi16(1)); }
  // |w| <= 128 and |x| <= 127: a pair is at most 32512, so nothing saturates.
  static I DotSigned(I sum, I w, I x) {
    const I signed_x = _mm512_mask_sub_epi8(x, _mm512_movepi8_mask(w), Zero(), x);
    const I pairs = _mm512_maddubs_epi16(_mm512_abs_epi8(w), signed_x);
    return _mm512_add_epi32(sum, _mm512_madd_epi16(pairs, _mm512_set1_epi16(1)));
  }
  static I FinishSigned(I sum, int32_t /*x_sum*/) { return sum; }
};

}  // namespace

#ifdef PARITY_EMULATE_AVX512
GroupProductFn EmulatedAvx512Product(DType dtype, Numerics numerics) {
#else
GroupProductFn Avx512Product(DType dtype, Numerics numerics) {
#endif
  return Select<Avx512Isa>(dtype, numerics);
}

}  // namespace parity::kernels

#else

namespace parity::kernels {

GroupProductFn Avx512Product(DType, Numerics) { return nullptr; }

}  // namespace parity::kernels

#endif
