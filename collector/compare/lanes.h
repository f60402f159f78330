// Eight double lanes and eight float lanes on whatever registers the including file is compiled
// for. Everything is in an unnamed namespace: each SIMD level has its own copy, never merged by the
// linker.
#ifndef PARITY_COLLECTOR_COMPARE_LANES_H_
#define PARITY_COLLECTOR_COMPARE_LANES_H_

#include <cmath>
#include <cstdint>
#include <cstring>

#if defined(__AVX2__)
#include <immintrin.h>
#endif

#if defined(__AVX512F__) || defined(PARITY_EMULATE_AVX512)
#define PARITY_AVX512_LANES
#endif

namespace parity::compare {
namespace {

#if defined(PARITY_AVX512_LANES)

struct Doubles {
  __m512d v;
  static Doubles Load(const double* p) { return {_mm512_loadu_pd(p)}; }
  static Doubles All(double x) { return {_mm512_set1_pd(x)}; }
  void Store(double* p) const { _mm512_storeu_pd(p, v); }
};
inline Doubles operator+(Doubles a, Doubles b) { return {_mm512_add_pd(a.v, b.v)}; }
inline Doubles operator-(Doubles a, Doubles b) { return {_mm512_sub_pd(a.v, b.v)}; }
inline Doubles operator*(Doubles a, Doubles b) { return {_mm512_mul_pd(a.v, b.v)}; }
inline Doubles Fma(Doubles a, Doubles b, Doubles c) { return {_mm512_fmadd_pd(a.v, b.v, c.v)}; }
inline Doubles Abs(Doubles a) { return {_mm512_abs_pd(a.v)}; }
inline Doubles Max(Doubles a, Doubles b) { return {_mm512_max_pd(a.v, b.v)}; }
inline Doubles Round(Doubles a) {
  return {_mm512_roundscale_pd(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)};
}
// 2^n for whole n within the exponent's range.
inline Doubles PowerOfTwo(Doubles n) {
  const __m512i k = _mm512_cvtepi32_epi64(_mm512_cvtpd_epi32(n.v));
  return {_mm512_castsi512_pd(_mm512_slli_epi64(_mm512_add_epi64(k, _mm512_set1_epi64(1023)), 52))};
}

#elif defined(__AVX2__)

struct Doubles {
  __m256d lo, hi;
  static Doubles Load(const double* p) { return {_mm256_loadu_pd(p), _mm256_loadu_pd(p + 4)}; }
  static Doubles All(double x) { return {_mm256_set1_pd(x), _mm256_set1_pd(x)}; }
  void Store(double* p) const {
    _mm256_storeu_pd(p, lo);
    _mm256_storeu_pd(p + 4, hi);
  }
};
inline Doubles operator+(Doubles a, Doubles b) {
  return {_mm256_add_pd(a.lo, b.lo), _mm256_add_pd(a.hi, b.hi)};
}
inline Doubles operator-(Doubles a, Doubles b) {
  return {_mm256_sub_pd(a.lo, b.lo), _mm256_sub_pd(a.hi, b.hi)};
}
inline Doubles operator*(Doubles a, Doubles b) {
  return {_mm256_mul_pd(a.lo, b.lo), _mm256_mul_pd(a.hi, b.hi)};
}
inline Doubles Fma(Doubles a, Doubles b, Doubles c) {
  return {_mm256_fmadd_pd(a.lo, b.lo, c.lo), _mm256_fmadd_pd(a.hi, b.hi, c.hi)};
}
inline Doubles Abs(Doubles a) {
  const __m256d sign = _mm256_set1_pd(-0.0);
  return {_mm256_andnot_pd(sign, a.lo), _mm256_andnot_pd(sign, a.hi)};
}
inline Doubles Max(Doubles a, Doubles b) {
  return {_mm256_max_pd(a.lo, b.lo), _mm256_max_pd(a.hi, b.hi)};
}
inline Doubles Round(Doubles a) {
  constexpr int kMode = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
  return {_mm256_round_pd(a.lo, kMode), _mm256_round_pd(a.hi, kMode)};
}
inline __m256d PowerOfTwo4(__m256d n) {
  const __m256i k = _mm256_cvtepi32_epi64(_mm256_cvtpd_epi32(n));
  return _mm256_castsi256_pd(_mm256_slli_epi64(_mm256_add_epi64(k, _mm256_set1_epi64x(1023)), 52));
}
inline Doubles PowerOfTwo(Doubles n) { return {PowerOfTwo4(n.lo), PowerOfTwo4(n.hi)}; }

#else

struct Doubles {
  double v[8];
  static Doubles Load(const double* p) {
    Doubles r;
    std::memcpy(r.v, p, sizeof(r.v));
    return r;
  }
  static Doubles All(double x) { return {{x, x, x, x, x, x, x, x}}; }
  void Store(double* p) const { std::memcpy(p, v, sizeof(v)); }
};
template <typename F>
inline Doubles Each(F f) {
  Doubles r;
  for (int i = 0; i < 8; ++i) r.v[i] = f(i);
  return r;
}
inline Doubles operator+(const Doubles& a, const Doubles& b) {
  return Each([&](int i) { return a.v[i] + b.v[i]; });
}
inline Doubles operator-(const Doubles& a, const Doubles& b) {
  return Each([&](int i) { return a.v[i] - b.v[i]; });
}
inline Doubles operator*(const Doubles& a, const Doubles& b) {
  return Each([&](int i) { return a.v[i] * b.v[i]; });
}
inline Doubles Fma(const Doubles& a, const Doubles& b, const Doubles& c) {
  return Each([&](int i) { return a.v[i] * b.v[i] + c.v[i]; });
}
inline Doubles Abs(const Doubles& a) {
  return Each([&](int i) { return std::fabs(a.v[i]); });
}
inline Doubles Max(const Doubles& a, const Doubles& b) {
  return Each([&](int i) { return a.v[i] > b.v[i] ? a.v[i] : b.v[i]; });
}
inline Doubles Round(const Doubles& a) {
  return Each([&](int i) { return std::nearbyint(a.v[i]); });
}
inline Doubles PowerOfTwo(const Doubles& n) {
  return Each([&](int i) { return std::ldexp(1.0, static_cast<int>(n.v[i])); });
}

#endif

#if defined(__AVX2__)

struct Floats {
  __m256 v;
  static Floats Load(const char* p) { return {_mm256_loadu_ps(reinterpret_cast<const float*>(p))}; }
  static Floats All(float x) { return {_mm256_set1_ps(x)}; }
  void Store(float* p) const { _mm256_storeu_ps(p, v); }
};
inline Floats operator+(Floats a, Floats b) { return {_mm256_add_ps(a.v, b.v)}; }
inline Floats operator-(Floats a, Floats b) { return {_mm256_sub_ps(a.v, b.v)}; }
inline Floats operator*(Floats a, Floats b) { return {_mm256_mul_ps(a.v, b.v)}; }
inline Floats Fma(Floats a, Floats b, Floats c) { return {_mm256_fmadd_ps(a.v, b.v, c.v)}; }
inline Floats Abs(Floats a) { return {_mm256_andnot_ps(_mm256_set1_ps(-0.0f), a.v)}; }
inline Floats Max(Floats a, Floats b) { return {_mm256_max_ps(a.v, b.v)}; }
inline Floats Round(Floats a) {
  return {_mm256_round_ps(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)};
}
inline Floats PowerOfTwo(Floats n) {
  const __m256i k = _mm256_add_epi32(_mm256_cvtps_epi32(n.v), _mm256_set1_epi32(127));
  return {_mm256_castsi256_ps(_mm256_slli_epi32(k, 23))};
}
inline bool AnyGreater(Floats a, Floats b) {
  return _mm256_movemask_ps(_mm256_cmp_ps(a.v, b.v, _CMP_GT_OQ)) != 0;
}
#if defined(PARITY_AVX512_LANES)
inline Doubles Widen(Floats a) { return {_mm512_cvtps_pd(a.v)}; }
inline Doubles WidenAt(const char* p) { return Widen(Floats::Load(p)); }
#else
inline Doubles Widen(Floats a) {
  return {_mm256_cvtps_pd(_mm256_castps256_ps128(a.v)),
          _mm256_cvtps_pd(_mm256_extractf128_ps(a.v, 1))};
}
inline Doubles WidenAt(const char* p) {  // without the step across the register's halves
  const float* f = reinterpret_cast<const float*>(p);
  return {_mm256_cvtps_pd(_mm_loadu_ps(f)), _mm256_cvtps_pd(_mm_loadu_ps(f + 4))};
}
#endif

#else

struct Floats {
  float v[8];
  static Floats Load(const char* p) {
    Floats r;
    std::memcpy(r.v, p, sizeof(r.v));
    return r;
  }
  static Floats All(float x) { return {{x, x, x, x, x, x, x, x}}; }
  void Store(float* p) const { std::memcpy(p, v, sizeof(v)); }
};
template <typename F>
inline Floats EachFloat(F f) {
  Floats r;
  for (int i = 0; i < 8; ++i) r.v[i] = f(i);
  return r;
}
inline Floats operator+(const Floats& a, const Floats& b) {
  return EachFloat([&](int i) { return a.v[i] + b.v[i]; });
}
inline Floats operator-(const Floats& a, const Floats& b) {
  return EachFloat([&](int i) { return a.v[i] - b.v[i]; });
}
inline Floats operator*(const Floats& a, const Floats& b) {
  return EachFloat([&](int i) { return a.v[i] * b.v[i]; });
}
inline Floats Fma(const Floats& a, const Floats& b, const Floats& c) {
  return EachFloat([&](int i) { return a.v[i] * b.v[i] + c.v[i]; });
}
inline Floats Abs(const Floats& a) {
  return EachFloat([&](int i) { return std::fabs(a.v[i]); });
}
inline Floats Max(const Floats& a, const Floats& b) {
  return EachFloat([&](int i) { return a.v[i] > b.v[i] ? a.v[i] : b.v[i]; });
}
inline Floats Round(const Floats& a) {
  return EachFloat([&](int i) { return std::nearbyint(a.v[i]); });
}
inline Floats PowerOfTwo(const Floats& n) {
  return EachFloat([&](int i) { return std::ldexp(1.0f, static_cast<int>(n.v[i])); });
}
inline bool AnyGreater(const Floats& a, const Floats& b) {
  bool any = false;
  for (int i = 0; i < 8; ++i) any |= a.v[i] > b.v[i];
  return any;
}
inline Doubles Widen(const Floats& a) {
  return Each([&](int i) { return double{a.v[i]}; });
}
inline Doubles WidenAt(const char* p) { return Widen(Floats::Load(p)); }

#endif

}  // namespace
}  // namespace parity::compare

#endif  // PARITY_COLLECTOR_COMPARE_LANES_H_
