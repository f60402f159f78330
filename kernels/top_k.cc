#include "kernels/top_k.h"

#include <glog/logging.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

namespace parity::kernels {
namespace {

constexpr size_t kLanes = 16;
constexpr float kInfinity = std::numeric_limits<float>::infinity();

// The compiler's own vectors: it leaves a loop over an array of lanes scalar, and a scalar exp
// would cost a small model several per cent of its decode time.
constexpr size_t kWidth = 4;
constexpr size_t kVectors = kLanes / kWidth;
using Floats = float __attribute__((vector_size(kWidth * sizeof(float))));
using Ints = int32_t __attribute__((vector_size(kWidth * sizeof(int32_t))));

// lanes += exp(x - max), x <= max, of kWidth values. Relative error < 3e-7: degree-6 Taylor on |r|
// <= ln2/2 leaves 0.35^7/5040 = 1.3e-7, the rest is rounding.
inline void AddExp(const float* values, float max, Floats& lanes) {
  Floats x;
  std::memcpy(&x, values, sizeof(x));
  x -= max;
  const Floats least = Floats{} - 87.0f;
  x = x < least ? least : x;
  constexpr float kRound = 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer
  const Floats n = (x * 1.44269504f + kRound) - kRound;
  const Floats r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
  Floats p = Floats{} + 1.0f / 720;
  p = p * r + 1.0f / 120;
  p = p * r + 1.0f / 24;
  p = p * r + 1.0f / 6;
  p = p * r + 0.5f;
  p = p * r + 1.0f;
  p = p * r + 1.0f;
  const Ints bits = (__builtin_convertvector(n, Ints) + 127) << 23;
  Floats scale;
  std::memcpy(&scale, &bits, sizeof(scale));
  lanes += p * scale;
}

// The same for kLanes values.
inline void AddAllExp(const float* values, float max, Floats (&lanes)[kVectors]) {
  for (size_t v = 0; v < kVectors; ++v) AddExp(values + v * kWidth, max, lanes[v]);
}

// Sum of exp(x - max). Blocks of floats, summed in double: 16 lanes of at most 64 terms.
double SumOfExp(absl::Span<const float> row, float max) {
  constexpr size_t kBlock = 64 * kLanes;
  double sum = 0;
  for (size_t begin = 0; begin < row.size(); begin += kBlock) {
    const size_t end = std::min(row.size(), begin + kBlock);
    Floats lanes[kVectors] = {};
    size_t i = begin;
    for (; i + kLanes <= end; i += kLanes) AddAllExp(row.data() + i, max, lanes);
    if (i < end) {
      float rest[kLanes];  // -infinity adds what 87 below adds: 1e-38
      std::fill(std::copy(row.begin() + i, row.begin() + end, rest), rest + kLanes, -kInfinity);
      AddAllExp(rest, max, lanes);
    }
    for (size_t lane = 0; lane < kLanes; ++lane) sum += lanes[lane / kWidth][lane % kWidth];
  }
  return sum;
}

// The largest value, -infinity where there is none, and whether any is a NaN.
struct Extremes {
  float max;
  bool nan;
};

Extremes ExtremesOf(absl::Span<const float> row) {
  float max[kLanes];
  int32_t nan[kLanes] = {};
  std::fill(max, max + kLanes, -kInfinity);
  size_t i = 0;
  for (; i + kLanes <= row.size(); i += kLanes) {
    for (size_t lane = 0; lane < kLanes; ++lane) {
      const float x = row[i + lane];
      max[lane] = x > max[lane] ? x : max[lane];
      nan[lane] |= x != x;
    }
  }
  for (; i < row.size(); ++i) {
    max[0] = row[i] > max[0] ? row[i] : max[0];
    nan[0] |= row[i] != row[i];
  }
  return {*std::max_element(max, max + kLanes),
          std::any_of(nan, nan + kLanes, [](int n) { return n != 0; })};
}

// Of values that come in the order of their ids: what is no larger than the k-th so far ranks after
// it. Twice as many as asked for are kept before the worse half is dropped.
std::vector<TopValue> Largest(absl::Span<const float> row, size_t k) {
  std::vector<TopValue> kept;
  kept.reserve(std::min(row.size(), 2 * k));
  float bound = -kInfinity;
  bool bounded = false;  // `bound` is the k-th
  for (size_t i = 0; i < row.size(); ++i) {
    const float x = row[i];
    if (!(x > bound) && (bounded || x != x)) continue;
    kept.push_back({static_cast<int32_t>(i), x});
    if (kept.size() < 2 * k) continue;
    std::nth_element(kept.begin(), kept.begin() + (k - 1), kept.end(), RanksBefore);
    kept.resize(k);
    bound = kept[k - 1].value;
    bounded = true;
  }
  std::sort(kept.begin(), kept.end(), RanksBefore);
  if (kept.size() > k) kept.resize(k);
  return kept;
}

}  // namespace

TopValues TopOf(absl::Span<const float> row, int32_t k) {
  CHECK_GE(k, 1);
  const Extremes extremes = ExtremesOf(row);
  TopValues top;
  if (k == 1) {
    const auto first = std::find(row.begin(), row.end(), extremes.max);
    if (first != row.end()) top.values = {{static_cast<int32_t>(first - row.begin()), *first}};
  } else {
    top.values = Largest(row, k);
  }
  if (extremes.nan || extremes.max == -kInfinity) {
    top.exp_sum = std::numeric_limits<double>::quiet_NaN();
  } else if (extremes.max == kInfinity) {
    top.exp_sum = std::numeric_limits<double>::infinity();
  } else {
    top.exp_sum = SumOfExp(row, extremes.max);
  }
  return top;
}

}  // namespace parity::kernels
