// Eight virtual lanes of float or double, the unit every vectorised op outside the products is
// written in.
//
// Textual header: the including source defines PARITY_LANES, the namespace of its path, and is
// compiled with that path's flags. Each operation is one IEEE operation per lane, so all paths give
// the same bits; only the instructions differ. Nothing here may be called from outside the
// including source: two paths' inline functions must never be merged.
#ifndef PARITY_KERNELS_CPU_LANES_H_
#define PARITY_KERNELS_CPU_LANES_H_

#include <cstdint>
#include <cstring>

#if defined(__AVX2__) && defined(__FMA__) && defined(__F16C__)
#define PARITY_LANES_AVX2 1
#include <immintrin.h>
#else
#define PARITY_LANES_AVX2 0
#include "kernels/half.h"
#endif

#define PARITY_INLINE static inline __attribute__((always_inline))

namespace parity::kernels::PARITY_LANES {

typedef float F8 __attribute__((vector_size(32)));
typedef int32_t I8 __attribute__((vector_size(32)));
typedef double D4 __attribute__((vector_size(32)));
typedef int64_t L4 __attribute__((vector_size(32)));

struct D8 {
  D4 lo;  // lanes 0..3
  D4 hi;  // lanes 4..7
};

constexpr int64_t kLanes = 8;

// --- floats ---

PARITY_INLINE F8 Fill(float x) { return F8{x, x, x, x, x, x, x, x}; }

PARITY_INLINE F8 LoadFloats(const float* from) {
  F8 v;
  std::memcpy(&v, from, sizeof(v));
  return v;
}

PARITY_INLINE F8 LoadFloats(const uint16_t* halves) {
#if PARITY_LANES_AVX2
  __m128i raw;
  std::memcpy(&raw, halves, sizeof(raw));
  return _mm256_cvtph_ps(raw);
#else
  F8 v;
  for (int i = 0; i < kLanes; ++i) v[i] = HalfToFloat(halves[i]);
  return v;
#endif
}

PARITY_INLINE void StoreHalves(uint16_t* to, F8 v) {
#if PARITY_LANES_AVX2
  const __m128i raw = _mm256_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT);
  std::memcpy(to, &raw, sizeof(raw));
#else
  for (int i = 0; i < kLanes; ++i) to[i] = FloatToHalf(v[i]);
#endif
}

PARITY_INLINE F8 Fma(F8 a, F8 b, F8 c) {
#if PARITY_LANES_AVX2
  return _mm256_fmadd_ps(a, b, c);
#else
  F8 v;
  for (int i = 0; i < kLanes; ++i) v[i] = __builtin_fmaf(a[i], b[i], c[i]);
  return v;
#endif
}

PARITY_INLINE I8 Bits(F8 v) { return reinterpret_cast<I8>(v); }
PARITY_INLINE F8 Floats(I8 v) { return reinterpret_cast<F8>(v); }
PARITY_INLINE F8 Abs(F8 v) { return Floats(Bits(v) & 0x7fffffff); }
PARITY_INLINE F8 Select(I8 mask, F8 a, F8 b) {
  return Floats((mask & Bits(a)) | (~mask & Bits(b)));
}
PARITY_INLINE F8 Max(F8 a, F8 b) { return Select(a > b, a, b); }

PARITY_INLINE bool Any(I8 mask) {
#if PARITY_LANES_AVX2
  return _mm256_movemask_ps(reinterpret_cast<__m256>(mask)) != 0;
#else
  int32_t any = 0;
  for (int i = 0; i < kLanes; ++i) any |= mask[i];
  return any != 0;
#endif
}

// --- doubles ---

PARITY_INLINE D4 Fma(D4 a, D4 b, D4 c) {
#if PARITY_LANES_AVX2
  return _mm256_fmadd_pd(a, b, c);
#else
  D4 v;
  for (int i = 0; i < 4; ++i) v[i] = __builtin_fma(a[i], b[i], c[i]);
  return v;
#endif
}

PARITY_INLINE D8 Widen(F8 v) {
#if PARITY_LANES_AVX2
  return {_mm256_cvtps_pd(_mm256_castps256_ps128(v)), _mm256_cvtps_pd(_mm256_extractf128_ps(v, 1))};
#else
  return {D4{v[0], v[1], v[2], v[3]}, D4{v[4], v[5], v[6], v[7]}};
#endif
}

PARITY_INLINE F8 Narrow(D8 v) {
#if PARITY_LANES_AVX2
  return _mm256_set_m128(_mm256_cvtpd_ps(v.hi), _mm256_cvtpd_ps(v.lo));
#else
  F8 r;
  for (int i = 0; i < 4; ++i) {
    r[i] = static_cast<float>(v.lo[i]);
    r[i + 4] = static_cast<float>(v.hi[i]);
  }
  return r;
#endif
}

PARITY_INLINE D8 Fill(double x) { return {D4{x, x, x, x}, D4{x, x, x, x}}; }
PARITY_INLINE D8 operator+(D8 a, D8 b) { return {a.lo + b.lo, a.hi + b.hi}; }
PARITY_INLINE D8 operator-(D8 a, D8 b) { return {a.lo - b.lo, a.hi - b.hi}; }
PARITY_INLINE D8 operator*(D8 a, D8 b) { return {a.lo * b.lo, a.hi * b.hi}; }
PARITY_INLINE D8 operator/(D8 a, D8 b) { return {a.lo / b.lo, a.hi / b.hi}; }
PARITY_INLINE D8 Fma(D8 a, D8 b, D8 c) { return {Fma(a.lo, b.lo, c.lo), Fma(a.hi, b.hi, c.hi)}; }
PARITY_INLINE D4 Select(L4 mask, D4 a, D4 b) {
  return reinterpret_cast<D4>((mask & reinterpret_cast<L4>(a)) | (~mask & reinterpret_cast<L4>(b)));
}
PARITY_INLINE D8 Max(D8 a, D8 b) {
  return {Select(a.lo > b.lo, a.lo, b.lo), Select(a.hi > b.hi, a.hi, b.hi)};
}

// The sum of the lanes in the one order used everywhere: lanes i and i + 4, then pairs two apart,
// then the last two.
PARITY_INLINE double Sum(D8 v) {
  const D4 t = v.lo + v.hi;
  return (t[0] + t[2]) + (t[1] + t[3]);
}

// The same order; ggml's softmax sums eight exponentials so, in float.
PARITY_INLINE float Sum(F8 v) {
  const float t[4] = {v[0] + v[4], v[1] + v[5], v[2] + v[6], v[3] + v[7]};
  return (t[0] + t[2]) + (t[1] + t[3]);
}

// --- the two kinds of accumulator, for templates ---

struct FloatLanes {
  using S = float;
  using V = F8;
  template <typename E>
  PARITY_INLINE V Load(const E* from) {
    return LoadFloats(from);
  }
  PARITY_INLINE void Store(float* to, V v) { std::memcpy(to, &v, sizeof(v)); }
};

struct DoubleLanes {
  using S = double;
  using V = D8;
  template <typename E>
  PARITY_INLINE V Load(const E* from) {
    return Widen(LoadFloats(from));
  }
  PARITY_INLINE V Load(const double* from) {
    D8 v;
    std::memcpy(&v, from, sizeof(v));
    return v;
  }
  PARITY_INLINE void Store(double* to, V v) { std::memcpy(to, &v, sizeof(v)); }
};

}  // namespace parity::kernels::PARITY_LANES

#endif  // PARITY_KERNELS_CPU_LANES_H_
