// AVX-512 over SIMDe: test-only, so that the AVX-512 kernel is checked on machines that lack the
// instructions. Before pair_kernel_body.h.
#ifndef PARITY_COLLECTOR_COMPARE_AVX512_EMULATION_H_
#define PARITY_COLLECTOR_COMPARE_AVX512_EMULATION_H_

#include <immintrin.h>

#define SIMDE_ENABLE_NATIVE_ALIASES
#include <simde/x86/avx512.h>

// SIMDe 0.7.4 lacks the following: each is two halves.
#define _mm512_cvtepi32_epi64(a) EmulatedCvtepi32Epi64(a)
#define _mm512_cvtpd_epi32(a) EmulatedCvtpdEpi32(a)
#define _mm512_cvtps_pd(a) EmulatedCvtpsPd(a)

static inline simde__m512i EmulatedCvtepi32Epi64(simde__m256i a) {
  simde__m512i_private out;
  out.m256i[0] = simde_mm256_cvtepi32_epi64(simde_mm256_castsi256_si128(a));
  out.m256i[1] = simde_mm256_cvtepi32_epi64(simde_mm256_extracti128_si256(a, 1));
  return simde__m512i_from_private(out);
}

static inline simde__m256i EmulatedCvtpdEpi32(simde__m512d a) {
  const simde__m512d_private in = simde__m512d_to_private(a);
  return simde_mm256_set_m128i(simde_mm256_cvtpd_epi32(in.m256d[1]),
                               simde_mm256_cvtpd_epi32(in.m256d[0]));
}

static inline simde__m512d EmulatedCvtpsPd(simde__m256 a) {
  simde__m512d_private out;
  out.m256d[0] = simde_mm256_cvtps_pd(simde_mm256_castps256_ps128(a));
  out.m256d[1] = simde_mm256_cvtps_pd(simde_mm256_extractf128_ps(a, 1));
  return simde__m512d_from_private(out);
}

#endif  // PARITY_COLLECTOR_COMPARE_AVX512_EMULATION_H_
