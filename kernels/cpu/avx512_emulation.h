// AVX-512 over SIMDe: test-only, so that the AVX-512 products are checked on machines that lack the
// instructions.
#ifndef PARITY_KERNELS_CPU_AVX512_EMULATION_H_
#define PARITY_KERNELS_CPU_AVX512_EMULATION_H_

#define SIMDE_ENABLE_NATIVE_ALIASES
#include <simde/x86/avx512.h>
#include <simde/x86/f16c.h>

// SIMDe 0.7.4 gives this alias the arguments of the masked form.
#undef _mm512_madd_epi16
#define _mm512_madd_epi16(a, b) simde_mm512_madd_epi16(a, b)

// SIMDe 0.7.4 lacks the following: each is two 256-bit halves.
#define _mm512_cvtepi32_ps(a) EmulatedCvtepi32Ps(a)
#define _mm512_cvtepu16_epi32(a) EmulatedCvtepu16Epi32(a)
#define _mm512_cvtpd_ps(a) EmulatedCvtpdPs(a)
#define _mm512_cvtph_ps(a) EmulatedCvtphPs(a)
#define _mm512_cvtps_pd(a) EmulatedCvtpsPd(a)
#define _mm512_srai_epi32(a, count) EmulatedSraiEpi32(a, count)

static inline simde__m512 EmulatedCvtepi32Ps(simde__m512i a) {
  const simde__m512i_private in = simde__m512i_to_private(a);
  simde__m512_private out;
  for (int i = 0; i < 2; ++i) out.m256[i] = simde_mm256_cvtepi32_ps(in.m256i[i]);
  return simde__m512_from_private(out);
}

static inline simde__m512i EmulatedCvtepu16Epi32(simde__m256i a) {
  simde__m512i_private out;
  out.m256i[0] = simde_mm256_cvtepu16_epi32(simde_mm256_castsi256_si128(a));
  out.m256i[1] = simde_mm256_cvtepu16_epi32(simde_mm256_extracti128_si256(a, 1));
  return simde__m512i_from_private(out);
}

static inline simde__m256 EmulatedCvtpdPs(simde__m512d a) {
  const simde__m512d_private in = simde__m512d_to_private(a);
  return simde_mm256_set_m128(simde_mm256_cvtpd_ps(in.m256d[1]), simde_mm256_cvtpd_ps(in.m256d[0]));
}

static inline simde__m512 EmulatedCvtphPs(simde__m256i a) {
  simde__m512_private out;
  out.m256[0] = simde_mm256_cvtph_ps(simde_mm256_castsi256_si128(a));
  out.m256[1] = simde_mm256_cvtph_ps(simde_mm256_extracti128_si256(a, 1));
  return simde__m512_from_private(out);
}

static inline simde__m512d EmulatedCvtpsPd(simde__m256 a) {
  simde__m512d_private out;
  out.m256d[0] = simde_mm256_cvtps_pd(simde_mm256_castps256_ps128(a));
  out.m256d[1] = simde_mm256_cvtps_pd(simde_mm256_extractf128_ps(a, 1));
  return simde__m512d_from_private(out);
}

static inline simde__m512i EmulatedSraiEpi32(simde__m512i a, unsigned count) {
  simde__m512i_private out = simde__m512i_to_private(a);
  for (simde__m256i& half : out.m256i) half = simde_mm256_srai_epi32(half, count);
  return simde__m512i_from_private(out);
}

#endif  // PARITY_KERNELS_CPU_AVX512_EMULATION_H_
