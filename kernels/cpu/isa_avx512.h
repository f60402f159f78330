// The Isa of the two AVX-512 sources: a group is one vector of sixteen rows. Included by
// product_avx512*.cc only.
//
// With PARITY_EMULATE_AVX512 the same source is compiled over SIMDe, for tests on machines without
// the instructions.
#ifndef PARITY_KERNELS_CPU_ISA_AVX512_H_
#define PARITY_KERNELS_CPU_ISA_AVX512_H_

#ifdef PARITY_EMULATE_AVX512
#include "kernels/cpu/avx512_emulation.h"
#else
#include <immintrin.h>
#endif

#include <cstdint>
#include <cstring>

namespace parity::kernels {
namespace {

// With VNNI four byte products and their sum are one instruction, so small sums have 32 bits;
// without it they have 16.
template <bool vnni>
struct Avx512Isa {
  using I = __m512i;
  using F = __m512;
  struct D {
    __m512d low, high;
  };
  static constexpr int kLanes = 16;
  static constexpr int kTokens = 8;        // 8 sums and 8 totals of 32 registers
  static constexpr int kDoubleTokens = 4;  // 8 sums
  static constexpr bool kWidens = false;

  static I Load(const uint8_t* p) { return _mm512_loadu_si512(p); }
  static I Broadcast(const int8_t* p) { return BroadcastWord(p); }
  static I BroadcastPair(const int16_t* p) { return BroadcastWord(p); }
  static I Zero() { return _mm512_setzero_si512(); }
  static I Plus(I a, I b) { return _mm512_add_epi32(a, b); }
  static I Subtract(I a, int32_t b) { return _mm512_sub_epi32(a, _mm512_set1_epi32(b)); }
  static I SubtractShifted(I a, I b, int bits) {
    return _mm512_sub_epi32(a, _mm512_slli_epi32(b, bits));
  }
  static I Or(I a, I b) { return _mm512_or_si512(a, b); }
  static I LowNibbles(I a) { return _mm512_and_si512(a, _mm512_set1_epi8(15)); }
  static I HighNibbles(I a) { return LowNibbles(_mm512_srli_epi16(a, 4)); }
  static I Bits(I a, int right, int mask) {
    if (right > 0) a = _mm512_srli_epi16(a, right);
    if (right < 0) a = _mm512_slli_epi16(a, -right);
    return _mm512_and_si512(a, _mm512_set1_epi8(static_cast<char>(mask)));
  }
  static I Lookup(const int8_t* table, I a) {
    int32_t words[4];
    std::memcpy(words, table, sizeof(words));
    return _mm512_shuffle_epi8(_mm512_set4_epi32(words[3], words[2], words[1], words[0]), a);
  }
  static I UnsignedByte(I a, int i) {
    return _mm512_srli_epi32(_mm512_slli_epi32(a, 24 - 8 * i), 24);
  }
  static I SignedByte(I a, int i) {
    return _mm512_srai_epi32(_mm512_slli_epi32(a, 24 - 8 * i), 24);
  }
  static I ByteAt(I a, int i) { return _mm512_srai_epi32(BytesAt(a, i * 0x01000100), 16); }
  static I ScaleAt(I a, int i) { return vnni ? ByteAt(a, i) : BytesAt(a, i * 0x01000100); }
  static I BytePair(I a, int half) { return BytesAt(a, half * 0x02000200 + 0x01000000); }
  static I DotPair(I sum, I w, I x) { return Plus(sum, _mm512_madd_epi16(w, x)); }

  static I StartSmall(I w, I x) {
    if constexpr (vnni) {
      return _mm512_dpbusd_epi32(Zero(), w, x);
    } else {
      return _mm512_maddubs_epi16(w, x);
    }
  }
  static I DotSmall(I sum, I w, I x) {
    if constexpr (vnni) {
      return _mm512_dpbusd_epi32(sum, w, x);
    } else {
      return _mm512_add_epi16(sum, _mm512_maddubs_epi16(w, x));
    }
  }
  static I FinishSmall(I sum) { return vnni ? sum : _mm512_madd_epi16(sum, _mm512_set1_epi16(1)); }
  static I AddScaled(I sum, I small, I scale) {
    return Plus(sum, vnni ? _mm512_mullo_epi32(small, scale) : _mm512_madd_epi16(small, scale));
  }
  static I DotSigned(I sum, I w, I x) {
    if constexpr (vnni) {
      // The instruction wants unsigned weights: w + 128, and 128 times the activations' sum is
      // taken off at the end.
      const I shifted = _mm512_xor_si512(w, _mm512_set1_epi8(static_cast<char>(0x80)));
      return _mm512_dpbusd_epi32(sum, shifted, x);
    } else {
      // |w| <= 128 and |x| <= 127: a pair is at most 32512, so nothing saturates.
      const I signed_x = _mm512_mask_sub_epi8(x, _mm512_movepi8_mask(w), Zero(), x);
      const I pairs = _mm512_maddubs_epi16(_mm512_abs_epi8(w), signed_x);
      return Plus(sum, _mm512_madd_epi16(pairs, _mm512_set1_epi16(1)));
    }
  }
  static I FinishSigned(I sum, int32_t x_sum) { return vnni ? Subtract(sum, 128 * x_sum) : sum; }
  static F ToFloat(I a) { return _mm512_cvtepi32_ps(a); }

  static F Half(const uint8_t* p) { return _mm512_cvtph_ps(Load256(p)); }
  static F Bf16(const uint8_t* p) {
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(Load256(p)), 16));
  }
  static F LoadFloat(const float* p) { return _mm512_loadu_ps(p); }
  static void Store(float* p, F a) { _mm512_storeu_ps(p, a); }
  static F Splat(float a) { return _mm512_set1_ps(a); }
  static F Mul(F a, F b) { return _mm512_mul_ps(a, b); }
  static F Add(F a, F b) { return _mm512_add_ps(a, b); }
  static F Sub(F a, F b) { return _mm512_sub_ps(a, b); }
  static F Fma(F a, F b, F c) { return _mm512_fmadd_ps(a, b, c); }

  static D ZeroDouble() { return {_mm512_setzero_pd(), _mm512_setzero_pd()}; }
  static D ToDouble(F a) {
    const __m512d bits = _mm512_castps_pd(a);
    return {_mm512_cvtps_pd(_mm512_castps512_ps256(a)),
            _mm512_cvtps_pd(_mm256_castpd_ps(_mm512_extractf64x4_pd(bits, 1)))};
  }
  static D FmaDouble(D w, float x, D sum) {
    const __m512d wide = _mm512_set1_pd(static_cast<double>(x));
    return {_mm512_fmadd_pd(w.low, wide, sum.low), _mm512_fmadd_pd(w.high, wide, sum.high)};
  }
  static F Rounded(D a) {
    const __m512d low = _mm512_castps_pd(_mm512_castps256_ps512(_mm512_cvtpd_ps(a.low)));
    return _mm512_castpd_ps(_mm512_insertf64x4(low, _mm256_castps_pd(_mm512_cvtpd_ps(a.high)), 1));
  }

 private:
  static I BroadcastWord(const void* p) {
    int32_t word;
    std::memcpy(&word, p, sizeof(word));
    return _mm512_set1_epi32(word);
  }
  // Two bytes of each word as two words of 16 bits: `places` has their places in bytes 1 and 3.
  static I BytesAt(I a, int32_t places) {
    const I starts = _mm512_set4_epi32(0x0c800c80, 0x08800880, 0x04800480, 0x00800080);
    return _mm512_srai_epi16(_mm512_shuffle_epi8(a, Plus(starts, _mm512_set1_epi32(places))), 8);
  }
  static __m256i Load256(const uint8_t* p) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  }
};

}  // namespace
}  // namespace parity::kernels

#endif  // PARITY_KERNELS_CPU_ISA_AVX512_H_
