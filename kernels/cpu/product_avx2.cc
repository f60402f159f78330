// The products with AVX2, FMA and F16C: a group is two vectors of eight rows.
#include "kernels/cpu/product.h"

#if defined(__AVX2__) && defined(__FMA__) && defined(__F16C__)

#include <immintrin.h>

#include <cstring>

#include "kernels/cpu/product_tiles.h"

namespace parity::kernels {
namespace {

struct Avx2Isa {
  using I = __m256i;
  using F = __m256;
  struct D {
    __m256d low, high;
  };
  static constexpr int kLanes = 8;
  static constexpr int kTokens = 4;        // 8 sums of 16 registers
  static constexpr int kDoubleTokens = 2;  // 8 sums

  static I Load(const uint8_t* p) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  }
  static I Broadcast(const int8_t* p) {
    int32_t word;
    std::memcpy(&word, p, sizeof(word));
    return _mm256_set1_epi32(word);
  }
  static I Zero() { return _mm256_setzero_si256(); }
  static I Subtract(I a, int32_t b) { return _mm256_sub_epi32(a, _mm256_set1_epi32(b)); }
  static I LowNibbles(I a) { return _mm256_and_si256(a, _mm256_set1_epi8(15)); }
  static I HighNibbles(I a) { return LowNibbles(_mm256_srli_epi16(a, 4)); }
  static I UnsignedByte(I a, int i) {
    return _mm256_srli_epi32(_mm256_slli_epi32(a, 24 - 8 * i), 24);
  }
  static I SignedByte(I a, int i) {
    return _mm256_srai_epi32(_mm256_slli_epi32(a, 24 - 8 * i), 24);
  }
  // Sums of a block stay in 16 bits: 8 chunks x 2 products x 15 x 127 = 30480.
  static I DotSmall(I sum, I w, I x) { return _mm256_add_epi16(sum, _mm256_maddubs_epi16(w, x)); }
  static I FinishSmall(I sum) { return _mm256_madd_epi16(sum, _mm256_set1_epi16(1)); }
  // |w| <= 128 and |x| <= 127: a pair is at most 32512, so nothing saturates.
  static I DotSigned(I sum, I w, I x) {
    const I pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(w), _mm256_sign_epi8(x, w));
    return _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
  }
  static I FinishSigned(I sum, int32_t /*x_sum*/) { return sum; }
  static F ToFloat(I a) { return _mm256_cvtepi32_ps(a); }

  static F Half(const uint8_t* p) { return _mm256_cvtph_ps(Load128(p)); }
  static F Bf16(const uint8_t* p) {
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(Load128(p)), 16));
  }
  static F LoadFloat(const float* p) { return _mm256_loadu_ps(p); }
  static void Store(float* p, F a) { _mm256_storeu_ps(p, a); }
  static F Splat(float a) { return _mm256_set1_ps(a); }
  static F Mul(F a, F b) { return _mm256_mul_ps(a, b); }
  static F Add(F a, F b) { return _mm256_add_ps(a, b); }
  static F Fma(F a, F b, F c) { return _mm256_fmadd_ps(a, b, c); }

  static D ZeroDouble() { return {_mm256_setzero_pd(), _mm256_setzero_pd()}; }
  static D ToDouble(F a) {
    return {_mm256_cvtps_pd(_mm256_castps256_ps128(a)),
            _mm256_cvtps_pd(_mm256_extractf128_ps(a, 1))};
  }
  static D FmaDouble(D w, float x, D sum) {
    const __m256d wide = _mm256_set1_pd(static_cast<double>(x));
    return {_mm256_fmadd_pd(w.low, wide, sum.low), _mm256_fmadd_pd(w.high, wide, sum.high)};
  }
  static F Rounded(D a) { return _mm256_set_m128(_mm256_cvtpd_ps(a.high), _mm256_cvtpd_ps(a.low)); }

 private:
  static __m128i Load128(const uint8_t* p) {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  }
};

}  // namespace

GroupProductFn Avx2Product(DType dtype, Numerics numerics) {
  return Select<Avx2Isa>(dtype, numerics);
}

}  // namespace parity::kernels

#else

namespace parity::kernels {

GroupProductFn Avx2Product(DType, Numerics) { return nullptr; }

}  // namespace parity::kernels

#endif
