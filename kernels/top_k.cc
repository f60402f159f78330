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

// exp(x) for x <= 0 without branches, so that the compiler vectorises the loop over a vocabulary
// (std::exp would cost a small model several per cent of its decode time). Relative error < 3e-7:
// degree-6 Taylor on |r| <= ln2/2 leaves 0.35^7/5040 = 1.3e-7, the rest is rounding.
inline float ExpNegative(float x) {
  x = x < -87.0f ? -87.0f : x;
  constexpr float kRound = 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer
  const float n = (x * 1.44269504f + kRound) - kRound;
  const float r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
  float p = 1.0f / 720;
  p = p * r + 1.0f / 120;
  p = p * r + 1.0f / 24;
  p = p * r + 1.0f / 6;
  p = p * r + 0.5f;
  p = p * r + 1.0f;
  p = p * r + 1.0f;
  const int32_t bits = (static_cast<int32_t>(n) + 127) << 23;
  float scale;
  std::memcpy(&scale, &bits, sizeof(scale));
  return p * scale;
}

// Sum of exp(x - max). Blocks of floats, summed in double: 16 lanes of at most 64 terms.
double SumOfExp(absl::Span<const float> row, float max) {
  constexpr size_t kBlock = 1024;
  double sum = 0;
  for (size_t begin = 0; begin < row.size(); begin += kBlock) {
    const size_t end = std::min(row.size(), begin + kBlock);
    float lanes[kLanes] = {};
    size_t i = begin;
    for (; i + kLanes <= end; i += kLanes) {
      for (size_t lane = 0; lane < kLanes; ++lane) {
        lanes[lane] += ExpNegative(row[i + lane] - max);
      }
    }
    for (; i < end; ++i) lanes[0] += ExpNegative(row[i] - max);
    for (const float lane : lanes) sum += lane;
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
