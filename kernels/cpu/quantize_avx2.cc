#include "kernels/cpu/quantize_avx2.h"

#if defined(__AVX2__) && defined(__F16C__)

#include <immintrin.h>

namespace parity::kernels {
namespace {

constexpr int kNearest = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;

__m256i MagnitudeBits(__m256 x) {
  return _mm256_and_si256(_mm256_castps_si256(x), _mm256_set1_epi32(0x7fffffff));
}

int32_t MaxOf(__m256i v) {
  __m128i m = _mm_max_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
  m = _mm_max_epi32(m, _mm_shuffle_epi32(m, 0x4e));
  m = _mm_max_epi32(m, _mm_shuffle_epi32(m, 0xb1));
  return _mm_cvtsi128_si32(m);
}

int32_t SumOf(__m256i v) {
  __m128i s = _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
  s = _mm_add_epi32(s, _mm_shuffle_epi32(s, 0x4e));
  s = _mm_add_epi32(s, _mm_shuffle_epi32(s, 0xb1));
  return _mm_cvtsi128_si32(s);
}

float RoundedToHalf(float x) {
  return _mm_cvtss_f32(_mm_cvtph_ps(_mm_cvtps_ph(_mm_set_ss(x), kNearest)));
}

// 32 values times `inverse`, rounded to the nearest integer and saturated to +-127.
[[gnu::always_inline]] inline __m256i QuantizedBytes(const __m256 (&v)[4], float inverse) {
  const __m256 factor = _mm256_set1_ps(inverse);
  __m256i q[4];
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    // Out of range becomes INT_MIN, which the packing below saturates.
    q[i] = _mm256_cvtps_epi32(_mm256_mul_ps(v[i], factor));
  }
  const __m256i bytes =
      _mm256_packs_epi16(_mm256_packs_epi32(q[0], q[1]), _mm256_packs_epi32(q[2], q[3]));
  const __m256i ordered =
      _mm256_permutevar8x32_epi32(bytes, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
  return _mm256_max_epi8(ordered, _mm256_set1_epi8(-127));
}

// Sums of four bytes each.
__m256i SumsOfFour(__m256i bytes) {
  const __m256i pairs = _mm256_maddubs_epi16(_mm256_set1_epi8(1), bytes);
  return _mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
}

void QuantizeBlock(const float* x, ActivationQuantization quantization, ActivationBlock* out) {
  __m256 v[4];
  __m256i magnitude = _mm256_setzero_si256();
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    v[i] = _mm256_loadu_ps(x + 8 * i);
    magnitude = _mm256_max_epi32(magnitude, MagnitudeBits(v[i]));
  }
  const int32_t max_bits = MaxOf(magnitude);
  const float max = _mm_cvtss_f32(_mm_castsi128_ps(_mm_cvtsi32_si128(max_bits)));
  const ActivationScale scale = ScaleOf(max, quantization);
  const bool finite = max_bits < 0x7f800000;
  const __m256i bytes = finite ? QuantizedBytes(v, scale.inverse) : _mm256_setzero_si256();
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(out->values), bytes);
  out->sum = SumOf(SumsOfFour(bytes));
  out->scale = RoundedToHalf(scale.d);
  out->scaled_sum = RoundedToHalf(scale.d * static_cast<float>(out->sum));
  out->unused = 0;
}

// The first value whose magnitude is the largest.
float LargestOf(const float* x) {
  __m256i magnitude = _mm256_setzero_si256();
  for (int i = 0; i < kActivationSuperBlock; i += 8) {
    magnitude = _mm256_max_epi32(magnitude, MagnitudeBits(_mm256_loadu_ps(x + i)));
  }
  const __m256i most = _mm256_set1_epi32(MaxOf(magnitude));
  for (int i = 0; i < kActivationSuperBlock; i += 8) {
    const __m256i same = _mm256_cmpeq_epi32(MagnitudeBits(_mm256_loadu_ps(x + i)), most);
    const int mask = _mm256_movemask_ps(_mm256_castsi256_ps(same));
    if (mask != 0) return x[i + __builtin_ctz(mask)];
  }
  return 0.0f;
}

void QuantizeSuperBlock(const float* x, ActivationQuantization quantization,
                        ActivationSuperBlock* out) {
  const ActivationScale scale = SuperScaleOf(LargestOf(x), quantization);
  for (int u = 0; u < 8; ++u) {
    __m256 v[4];
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) v[i] = _mm256_loadu_ps(x + 32 * u + 8 * i);
    const __m256i bytes =
        scale.inverse == 0.0f ? _mm256_setzero_si256() : QuantizedBytes(v, scale.inverse);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out->values + 32 * u), bytes);
    const __m256i fours = SumsOfFour(bytes);
    const __m256i eights = _mm256_add_epi32(fours, _mm256_shuffle_epi32(fours, 0xb1));
    const __m256i sums = _mm256_add_epi32(eights, _mm256_shuffle_epi32(eights, 0x4e));
    const int low = _mm256_extract_epi32(sums, 0);
    const int high = _mm256_extract_epi32(sums, 4);
    out->sums16[2 * u] = static_cast<int16_t>(low);
    out->sums16[2 * u + 1] = static_cast<int16_t>(high);
    out->sums32[u] = static_cast<int16_t>(low + high);
  }
  out->scale = scale.d;
  for (int32_t& word : out->unused) word = 0;
}

}  // namespace

void RoundToHalfAvx2(const float* x, int64_t blocks, float* out) {
  for (int64_t i = 0; i < blocks * kActivationBlock; i += 8) {
    const __m128i half = _mm256_cvtps_ph(_mm256_loadu_ps(x + i), kNearest);
    _mm256_storeu_ps(out + i, _mm256_cvtph_ps(half));
  }
}

void RoundToBf16Avx2(const float* x, int64_t blocks, float* out) {
  const __m256i upper = _mm256_set1_epi32(static_cast<int>(0xffff0000u));
  for (int64_t i = 0; i < blocks * kActivationBlock; i += 8) {
    const __m256 value = _mm256_loadu_ps(x + i);
    const __m256i bits = _mm256_castps_si256(value);
    const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
    const __m256i rounded =
        _mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff)));
    const __m256i quiet = _mm256_or_si256(bits, _mm256_set1_epi32(64 << 16));
    const __m256i nan = _mm256_cmpgt_epi32(MagnitudeBits(value), _mm256_set1_epi32(0x7f800000));
    const __m256i chosen = _mm256_and_si256(_mm256_blendv_epi8(rounded, quiet, nan), upper);
    _mm256_storeu_ps(out + i, _mm256_castsi256_ps(chosen));
  }
}

void QuantizeQ8Avx2(const float* x, int64_t blocks, ActivationQuantization quantization,
                    ActivationBlock* out) {
  for (int64_t b = 0; b < blocks; ++b) {
    QuantizeBlock(x + b * kActivationBlock, quantization, out + b);
  }
}

void QuantizeQ8KAvx2(const float* x, int64_t blocks, ActivationQuantization quantization,
                     ActivationSuperBlock* out) {
  for (int64_t b = 0; b < blocks; ++b) {
    QuantizeSuperBlock(x + b * kActivationSuperBlock, quantization, out + b);
  }
}

}  // namespace parity::kernels

#else

namespace parity::kernels {

void RoundToHalfAvx2(const float*, int64_t, float*) {}
void RoundToBf16Avx2(const float*, int64_t, float*) {}
void QuantizeQ8Avx2(const float*, int64_t, ActivationQuantization, ActivationBlock*) {}
void QuantizeQ8KAvx2(const float*, int64_t, ActivationQuantization, ActivationSuperBlock*) {}

}  // namespace parity::kernels

#endif
