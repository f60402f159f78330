// The products with AVX2, FMA and F16C: a group is two vectors of eight rows.
#include "kernels/cpu/product.h"

#if defined(__AVX2__) && defined(__FMA__) && defined(__F16C__)

#include <immintrin.h>

#include <cstring>

#include "kernels/cpu/product_groups.h"

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
  static constexpr bool kWidens = true;    // a tile does not pay for taking weights apart

  static I Load(const uint8_t* p) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  }
  static void StoreWords(uint8_t* p, I a) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), a); }
  static I Broadcast(const int8_t* p) {
    int32_t word;
    std::memcpy(&word, p, sizeof(word));
    return _mm256_set1_epi32(word);
  }
  static I BroadcastPair(const int16_t* p) {
    int32_t word;
    std::memcpy(&word, p, sizeof(word));
    return _mm256_set1_epi32(word);
  }
  static I Zero() { return _mm256_setzero_si256(); }
  static I Plus(I a, I b) { return _mm256_add_epi32(a, b); }
  static I Subtract(I a, int32_t b) { return _mm256_sub_epi32(a, _mm256_set1_epi32(b)); }
  static I SubtractShifted(I a, I b, int bits) {
    return _mm256_sub_epi32(a, _mm256_slli_epi32(b, bits));
  }
  static I Or(I a, I b) { return _mm256_or_si256(a, b); }
  static I LowNibbles(I a) { return _mm256_and_si256(a, _mm256_set1_epi8(15)); }
  static I HighNibbles(I a) { return LowNibbles(_mm256_srli_epi16(a, 4)); }
  static I Bits(I a, int right, int mask) {
    if (right > 0) a = _mm256_srli_epi16(a, right);
    if (right < 0) a = _mm256_slli_epi16(a, -right);
    return _mm256_and_si256(a, _mm256_set1_epi8(static_cast<char>(mask)));
  }
  static I Lookup(const int8_t* table, I a) {
    const __m128i values = _mm_load_si128(reinterpret_cast<const __m128i*>(table));
    return _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(values), a);
  }
  static I UnsignedByte(I a, int i) {
    return _mm256_srli_epi32(_mm256_slli_epi32(a, 24 - 8 * i), 24);
  }
  static I SignedByte(I a, int i) {
    return _mm256_srai_epi32(_mm256_slli_epi32(a, 24 - 8 * i), 24);
  }
  static I ByteAt(I a, int i) { return _mm256_srai_epi32(ScaleAt(a, i), 16); }
  static I ScaleAt(I a, int i) { return BytesAt(a, i * 0x01000100); }
  static I BytePair(I a, int half) { return BytesAt(a, half * 0x02000200 + 0x01000000); }
  static I DotPair(I sum, I w, I x) { return Plus(sum, _mm256_madd_epi16(w, x)); }
  // Sums of ChunksOf16Bits chunks stay in 16 bits.
  static I StartSmall(I w, I x) { return _mm256_maddubs_epi16(w, x); }
  static I DotSmall(I sum, I w, I x) { return _mm256_add_epi16(sum, _mm256_maddubs_epi16(w, x)); }
  static I FinishSmall(I sum) { return _mm256_madd_epi16(sum, _mm256_set1_epi16(1)); }
  static I AddScaled(I sum, I small, I scale) { return Plus(sum, _mm256_madd_epi16(small, scale)); }
  // |w| <= 128 and |x| <= 127: a pair is at most 32512, so nothing saturates.
  static I DotSigned(I sum, I w, I x) {
    const I pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(w), _mm256_sign_epi8(x, w));
    return Plus(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
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
  static F Sub(F a, F b) { return _mm256_sub_ps(a, b); }
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
  // Two bytes of each word as two words of 16 bits: `places` has their places in bytes 1 and 3.
  static I BytesAt(I a, int32_t places) {
    const I starts = _mm256_setr_epi32(0x00800080, 0x04800480, 0x08800880, 0x0c800c80, 0x00800080,
                                       0x04800480, 0x08800880, 0x0c800c80);
    return _mm256_srai_epi16(_mm256_shuffle_epi8(a, Plus(starts, _mm256_set1_epi32(places))), 8);
  }
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
