// The products with AVX-512 VNNI: four byte products and their sum in one instruction.
#include "kernels/cpu/product.h"

#if defined(PARITY_EMULATE_AVX512) || (defined(__AVX512BW__) && defined(__AVX512VNNI__))

#include "kernels/cpu/isa_avx512.h"
#include "kernels/cpu/product_tiles.h"

namespace parity::kernels {
namespace {

struct Avx512VnniIsa : Avx512Common {
  static I DotSmall(I sum, I w, I x) { return _mm512_dpbusd_epi32(sum, w, x); }
  static I FinishSmall(I sum) { return sum; }
  // The instruction wants unsigned weights: w + 128, and 128 times the activations' sum is taken
  // off at the end.
  static I DotSigned(I sum, I w, I x) {
    const I shifted = _mm512_xor_si512(w, _mm512_set1_epi8(static_cast<char>(0x80)));
    return _mm512_dpbusd_epi32(sum, shifted, x);
  }
  static I FinishSigned(I sum, int32_t x_sum) { return Subtract(sum, 128 * x_sum); }
};

}  // namespace

#ifdef PARITY_EMULATE_AVX512
GroupProductFn EmulatedAvx512VnniProduct(DType dtype, Numerics numerics) {
#else
GroupProductFn Avx512VnniProduct(DType dtype, Numerics numerics) {
#endif
  return Select<Avx512VnniIsa>(dtype, numerics);
}

}  // namespace parity::kernels

#else

namespace parity::kernels {

GroupProductFn Avx512VnniProduct(DType, Numerics) { return nullptr; }

}  // namespace parity::kernels

#endif
