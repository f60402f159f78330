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

// Lane b: `reduce` of all lanes of v[b].
template <class Reduce>
[[gnu::always_inline]] inline __m256i OfEach(const __m256i (&v)[8], Reduce reduce) {
  __m256i pairs[4];
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    pairs[i] = reduce(_mm256_unpacklo_epi32(v[2 * i], v[2 * i + 1]),
                      _mm256_unpackhi_epi32(v[2 * i], v[2 * i + 1]));
  }
  const __m256i low =
      reduce(_mm256_unpacklo_epi64(pairs[0], pairs[1]), _mm256_unpackhi_epi64(pairs[0], pairs[1]));
  const __m256i high =
      reduce(_mm256_unpacklo_epi64(pairs[2], pairs[3]), _mm256_unpackhi_epi64(pairs[2], pairs[3]));
  return reduce(_mm256_permute2x128_si256(low, high, 0x20),
                _mm256_permute2x128_si256(low, high, 0x31));
}

__m256 RoundedToHalf(__m256 x) { return _mm256_cvtph_ps(_mm256_cvtps_ph(x, kNearest)); }

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

// ScaleOf() (activation_block.h) of eight blocks: their d, and what their values are multiplied
// with.
struct Scales {
  __m256 d, inverse;
};

[[gnu::always_inline]] inline Scales ScalesOf(__m256i max_bits, __m256i finite,
                                              ActivationQuantization quantization) {
  const __m256 max = _mm256_castsi256_ps(max_bits);
  const __m256 most = _mm256_set1_ps(127.0f);
  const __m256 d = _mm256_div_ps(max, most);
  const __m256 inverse = quantization == ActivationQuantization::kLlama
                             ? _mm256_div_ps(most, max)
                             : _mm256_div_ps(_mm256_set1_ps(1.0f), d);
  const __m256 nonzero = _mm256_cmp_ps(max, _mm256_setzero_ps(), _CMP_NEQ_UQ);
  const __m256 nan = _mm256_castsi256_ps(_mm256_set1_epi32(0x7fc00000));
  return {_mm256_blendv_ps(nan, d, _mm256_castsi256_ps(finite)), _mm256_and_ps(inverse, nonzero)};
}

// What follows the values of eight blocks: lane b of each is block b's.
[[gnu::always_inline]] inline void StoreSums(__m256 scale, __m256 scaled_sum, __m256i sum,
                                             int blocks, ActivationBlock* out) {
  const __m256i scales[2] = {_mm256_castps_si256(_mm256_unpacklo_ps(scale, scaled_sum)),
                             _mm256_castps_si256(_mm256_unpackhi_ps(scale, scaled_sum))};
  const __m256i sums[2] = {_mm256_unpacklo_epi32(sum, _mm256_setzero_si256()),
                           _mm256_unpackhi_epi32(sum, _mm256_setzero_si256())};
  __m256i two[4];  // block b, and b + 4 in the upper half
#pragma GCC unroll 2
  for (int i = 0; i < 2; ++i) {
    two[2 * i] = _mm256_unpacklo_epi64(scales[i], sums[i]);
    two[2 * i + 1] = _mm256_unpackhi_epi64(scales[i], sums[i]);
  }
#pragma GCC unroll 8
  for (int b = 0; b < blocks; ++b) {
    const __m128i words =
        b < 4 ? _mm256_castsi256_si128(two[b]) : _mm256_extracti128_si256(two[b - 4], 1);
    _mm_store_si128(reinterpret_cast<__m128i*>(&out[b].scale), words);
  }
}

// At most eight blocks: what each has but once is computed for all of them in one vector.
[[gnu::always_inline]] inline void QuantizeBlocks(const float* x, int blocks,
                                                  ActivationQuantization quantization,
                                                  ActivationBlock* out) {
  __m256i each[8];
#pragma GCC unroll 8
  for (int b = 0; b < 8; ++b) {
    each[b] = _mm256_setzero_si256();
    if (b >= blocks) continue;
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {
      each[b] = _mm256_max_epi32(each[b],
                                 MagnitudeBits(_mm256_loadu_ps(x + kActivationBlock * b + 8 * i)));
    }
  }
  // As bits, so that a NaN is the largest of all.
  const __m256i max_bits =
      OfEach(each, [](__m256i a, __m256i b) { return _mm256_max_epi32(a, b); });
  const __m256i finite = _mm256_cmpgt_epi32(_mm256_set1_epi32(0x7f800000), max_bits);
  const Scales scales = ScalesOf(max_bits, finite, quantization);
  alignas(32) float inverses[8];
  alignas(32) int32_t masks[8];
  _mm256_store_ps(inverses, scales.inverse);
  _mm256_store_si256(reinterpret_cast<__m256i*>(masks), finite);
#pragma GCC unroll 8
  for (int b = 0; b < blocks; ++b) {
    __m256 v[4];
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) v[i] = _mm256_loadu_ps(x + kActivationBlock * b + 8 * i);
    const __m256i bytes =
        _mm256_and_si256(QuantizedBytes(v, inverses[b]), _mm256_set1_epi32(masks[b]));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out[b].values), bytes);
    each[b] = SumsOfFour(bytes);
  }
  const __m256i sum = OfEach(each, [](__m256i a, __m256i b) { return _mm256_add_epi32(a, b); });
  StoreSums(RoundedToHalf(scales.d),
            RoundedToHalf(_mm256_mul_ps(scales.d, _mm256_cvtepi32_ps(sum))), sum, blocks, out);
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
  int64_t b = 0;
  for (; b + 8 <= blocks; b += 8) {
    QuantizeBlocks(x + b * kActivationBlock, 8, quantization, out + b);
  }
  const int rest = static_cast<int>(blocks - b);
  if (rest > 0) QuantizeBlocks(x + b * kActivationBlock, rest, quantization, out + b);
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
