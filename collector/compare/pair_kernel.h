// The inner loops of a comparison, one table a SIMD level. Internal to collector/compare.
//
// Every level sums over the same eight virtual lanes (element i goes to lane i mod 8), so that AVX2
// and AVX-512 give the same bits. The scalar level lacks fused multiply-add and may differ in the
// last bits of the sum of squared differences (products of two floats are exact in double either
// way).
#ifndef PARITY_COLLECTOR_COMPARE_PAIR_KERNEL_H_
#define PARITY_COLLECTOR_COMPARE_PAIR_KERNEL_H_

#include <cstdint>

namespace parity::compare {

inline constexpr int kLanes = 8;

// Running sums over (a, b) pairs, d = a - b.
struct alignas(64) PairSums {
  double abs_difference[kLanes] = {};
  double squared_difference[kLanes] = {};
  double squared_a[kLanes] = {};
  double squared_b[kLanes] = {};
  double product[kLanes] = {};
};

// Running sums over logits, w = exp(a - a_max), t = (b - a) - shift.
struct alignas(64) WeightSums {
  double weight[kLanes] = {};
  double shifted[kLanes] = {};  // w * t
  double excess[kLanes] = {};   // w * (exp(t) - 1 - t)
};

// All functions take unaligned little-endian floats; n > 0.
struct PairKernel {
  const char* name;
  // Adds n pairs to `sums`; returns the largest |a-b|, unspecified if any value is not finite (a
  // sum then is not either).
  double (*accumulate)(const char* a, const char* b, int64_t n, PairSums* sums);
  // Largest value of n floats; unspecified if any is NaN.
  float (*largest)(const char* a, int64_t n);
  // First i with |a-b| > threshold * max(|a|, floor), computed in float; n if none.
  int64_t (*first_exceeding)(const char* a, const char* b, int64_t n, float threshold, float floor);
  // Adds n logits to `sums`. Weights are good to 2e-7 relative; the rest is double.
  // REQUIRES: |t| <= 40 throughout. `small` promises |t| <= 0.75.
  void (*weigh)(const char* a, const char* b, int64_t n, float a_max, double shift, bool small,
                WeightSums* sums);
};

const PairKernel& ScalarPairKernel();
// REQUIRES: the processor has AVX2 and FMA.
const PairKernel& Avx2PairKernel();
// REQUIRES: the processor has AVX-512 F, DQ, BW and VL.
const PairKernel& Avx512PairKernel();

// The best level this processor has; chosen once.
const PairKernel& BestPairKernel();

}  // namespace parity::compare

#endif  // PARITY_COLLECTOR_COMPARE_PAIR_KERNEL_H_
