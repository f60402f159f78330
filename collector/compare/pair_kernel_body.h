// The loops behind PairKernel, written once over lanes.h; included by one .cc file a SIMD level.
#ifndef PARITY_COLLECTOR_COMPARE_PAIR_KERNEL_BODY_H_
#define PARITY_COLLECTOR_COMPARE_PAIR_KERNEL_BODY_H_

#include <cstdint>
#include <cstring>

#include "collector/compare/lanes.h"
#include "collector/compare/pair_kernel.h"

namespace parity::compare {
namespace {

// Six sums of eight lanes are twelve AVX2 registers and leave too few to compute with, so that each
// block is gone through twice, from L1: half the time of one pass.
struct DifferenceSums {
  Doubles abs, dd, max;

  void Add(Doubles a, Doubles b) {
    const Doubles d = a - b;
    const Doubles magnitude = Abs(d);
    abs = abs + magnitude;
    max = Max(max, magnitude);
    dd = Fma(d, d, dd);
  }
};

struct ProductSums {
  Doubles aa, bb, ab;

  void Add(Doubles a, Doubles b) {
    aa = Fma(a, a, aa);
    bb = Fma(b, b, bb);
    ab = Fma(a, b, ab);
  }
};

// The last n mod 8 elements, padded with zeros, which add nothing to any sum.
Floats LoadTail(const char* p, int64_t n) {
  char padded[kLanes * sizeof(float)] = {};
  std::memcpy(padded, p, n * sizeof(float));
  return Floats::Load(padded);
}

template <typename Sums>
inline void AddBlock(const char* a, const char* b, int64_t n, Sums* sums) {
  Sums local = *sums;
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) local.Add(WidenAt(a + 4 * i), WidenAt(b + 4 * i));
  if (i < n) local.Add(Widen(LoadTail(a + 4 * i, n - i)), Widen(LoadTail(b + 4 * i, n - i)));
  *sums = local;
}

double Accumulate(const char* a, const char* b, int64_t n, PairSums* sums) {
  DifferenceSums difference = {Doubles::Load(sums->abs_difference),
                               Doubles::Load(sums->squared_difference), Doubles::All(0)};
  AddBlock(a, b, n, &difference);
  difference.abs.Store(sums->abs_difference);
  difference.dd.Store(sums->squared_difference);
  ProductSums product = {Doubles::Load(sums->squared_a), Doubles::Load(sums->squared_b),
                         Doubles::Load(sums->product)};
  AddBlock(a, b, n, &product);
  product.aa.Store(sums->squared_a);
  product.bb.Store(sums->squared_b);
  product.ab.Store(sums->product);
  double lanes[kLanes];
  difference.max.Store(lanes);
  double largest = 0;
  for (double lane : lanes) largest = lane > largest ? lane : largest;
  return largest;
}

float Largest(const char* a, int64_t n) {
  float first;
  std::memcpy(&first, a, sizeof(first));
  Floats max = Floats::All(first);
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) max = Max(max, Floats::Load(a + 4 * i));
  float lanes[kLanes];
  max.Store(lanes);
  float largest = first;
  for (float lane : lanes) largest = lane > largest ? lane : largest;
  for (; i < n; ++i) {
    float value;
    std::memcpy(&value, a + 4 * i, sizeof(value));
    largest = value > largest ? value : largest;
  }
  return largest;
}

int64_t FirstExceeding(const char* a, const char* b, int64_t n, float threshold, float floor) {
  const Floats t = Floats::All(threshold), low = Floats::All(floor);
  const auto exceeds = [&](int64_t i) {
    const Floats fa = Floats::Load(a + 4 * i);
    return AnyGreater(Abs(fa - Floats::Load(b + 4 * i)), t * Max(Abs(fa), low));
  };
  int64_t i = 0;
  while (i + 4 * kLanes <= n &&
         !(exceeds(i) | exceeds(i + kLanes) | exceeds(i + 2 * kLanes) | exceeds(i + 3 * kLanes))) {
    i += 4 * kLanes;
  }
  for (; i < n; i += kLanes) {
    const bool whole = i + kLanes <= n;
    const Floats fa = whole ? Floats::Load(a + 4 * i) : LoadTail(a + 4 * i, n - i);
    const Floats fb = whole ? Floats::Load(b + 4 * i) : LoadTail(b + 4 * i, n - i);
    const Floats difference = Abs(fa - fb);
    const Floats bound = t * Max(Abs(fa), low);
    if (!AnyGreater(difference, bound)) continue;
    float differences[kLanes], bounds[kLanes];
    difference.Store(differences);
    bound.Store(bounds);
    for (int lane = 0; lane < kLanes; ++lane) {
      if (differences[lane] > bounds[lane]) return i + lane;
    }
  }
  return n;
}

// c0 x^n + ... + cn, written out: a loop over the coefficients is not unrolled at -O2 and costs
// twice the time.
template <typename Lanes, typename... Coefficients>
inline Lanes Horner(Lanes x, Coefficients... coefficients) {
  Lanes p = Lanes::All(0);
  bool first = true;
  ((p = first ? Lanes::All(coefficients) : Fma(p, x, Lanes::All(coefficients)), first = false),
   ...);
  return p;
}

// exp(x) for x in [-104, 0]: 2^n * p(r) with |r| <= ln2/2; a Taylor polynomial of degree 7 leaves
// 1e-8, rounding 2e-7.
Floats ExpNegative(Floats x) {
  const Floats low =
      Floats::All(-87.0f);  // exp(-87) = 1.6e-38: still normal; what is below weighs nothing
  x = Max(x, low);
  const Floats n = Round(x * Floats::All(1.44269504f));
  Floats r = Fma(n, Floats::All(-0.693359375f), x);  // ln2 in two parts, the first exact
  r = Fma(n, Floats::All(2.12194440e-4f), r);
  return Horner(r, 1.0f / 5040, 1.0f / 720, 1.0f / 120, 1.0f / 24, 1.0f / 6, 0.5f, 1.0f, 1.0f) *
         PowerOfTwo(n);
}

// exp(t) - 1 - t for |t| <= 0.75: t^2 (1/2 + t/6 + ...), 8 terms leave 0.75^8 * 2/10! = 6e-8
// relative.
Doubles SmallExcess(Doubles t) {
  return Horner(t, 1.0 / 362880, 1.0 / 40320, 1.0 / 5040, 1.0 / 720, 1.0 / 120, 1.0 / 24, 1.0 / 6,
                1.0 / 2) *
         t * t;
}

// The same for |t| <= 40: exp(t) = 2^n exp(r), |r| <= ln2/2, 13 terms leave 0.35^13/13! = 2e-16.
Doubles WideExcess(Doubles t) {
  const Doubles n = Round(t * Doubles::All(1.4426950408889634));
  Doubles r = Fma(n, Doubles::All(-6.93147180369123816490e-01),
                  t);  // fdlibm's ln2 in two parts, the first exact
  r = Fma(n, Doubles::All(-1.90821492927058770002e-10), r);
  const Doubles p =
      Horner(r, 1.0 / 479001600, 1.0 / 39916800, 1.0 / 3628800, 1.0 / 362880, 1.0 / 40320,
             1.0 / 5040, 1.0 / 720, 1.0 / 120, 1.0 / 24, 1.0 / 6, 1.0 / 2, 1.0, 1.0);
  return p * PowerOfTwo(n) - Doubles::All(1) - t;
}

template <bool kSmall>
void WeighAs(const char* a, const char* b, int64_t n, float a_max, double shift, WeightSums* sums) {
  Doubles weight = Doubles::Load(sums->weight);
  Doubles shifted = Doubles::Load(sums->shifted);
  Doubles excess = Doubles::Load(sums->excess);
  const Floats top = Floats::All(a_max);
  const Doubles by = Doubles::All(shift);
  for (int64_t i = 0; i + kLanes <= n; i += kLanes) {
    const Floats fa = Floats::Load(a + 4 * i);
    const Doubles w = Widen(ExpNegative(fa - top));
    const Doubles t = Widen(Floats::Load(b + 4 * i)) - Widen(fa) - by;
    weight = weight + w;
    shifted = Fma(w, t, shifted);
    excess = Fma(w, kSmall ? SmallExcess(t) : WideExcess(t), excess);
  }
  weight.Store(sums->weight);
  shifted.Store(sums->shifted);
  excess.Store(sums->excess);
}

void Weigh(const char* a, const char* b, int64_t n, float a_max, double shift, bool small,
           WeightSums* sums) {
  if (small) {
    WeighAs<true>(a, b, n, a_max, shift, sums);
  } else {
    WeighAs<false>(a, b, n, a_max, shift, sums);
  }
  for (int64_t i = n / kLanes * kLanes; i < n; ++i) {
    float va, vb;
    std::memcpy(&va, a + 4 * i, sizeof(va));
    std::memcpy(&vb, b + 4 * i, sizeof(vb));
    const double w = std::exp(double{va} - a_max);
    const double t = double{vb} - va - shift;
    sums->weight[i % kLanes] += w;
    sums->shifted[i % kLanes] += w * t;
    sums->excess[i % kLanes] += w * (std::expm1(t) - t);
  }
}

}  // namespace
}  // namespace parity::compare

#endif  // PARITY_COLLECTOR_COMPARE_PAIR_KERNEL_BODY_H_
