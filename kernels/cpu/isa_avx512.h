// What the two AVX-512 sources share: a group is one vector of sixteen rows. Included by
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

// All but the dot products.
struct Avx512Common {
  using I = __m512i;
  using F = __m512;
  struct D {
    __m512d low, high;
  };
  static constexpr int kLanes = 16;
  static constexpr int kTokens = 8;        // 8 sums and 8 totals of 32 registers
  static constexpr int kDoubleTokens = 4;  // 8 sums

  static I Load(const uint8_t* p) { return _mm512_loadu_si512(p); }
  static I Broadcast(const int8_t* p) {
    int32_t word;
    std::memcpy(&word, p, sizeof(word));
    return _mm512_set1_epi32(word);
  }
  static I Zero() { return _mm512_setzero_si512(); }
  static I Subtract(I a, int32_t b) { return _mm512_sub_epi32(a, _mm512_set1_epi32(b)); }
  static I LowNibbles(I a) { return _mm512_and_si512(a, _mm512_set1_epi8(15)); }
  static I HighNibbles(I a) { return LowNibbles(_mm512_srli_epi16(a, 4)); }
  static I UnsignedByte(I a, int i) {
    return _mm512_srli_epi32(_mm512_slli_epi32(a, 24 - 8 * i), 24);
  }
  static I SignedByte(I a, int i) {
    return _mm512_srai_epi32(_mm512_slli_epi32(a, 24 - 8 * i), 24);
  }
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
  static __m256i Load256(const uint8_t* p) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  }
};

}  // namespace
}  // namespace parity::kernels

#endif  // PARITY_KERNELS_CPU_ISA_AVX512_H_
