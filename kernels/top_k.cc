#include "kernels/top_k.h"

#include <glog/logging.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

namespace parity::kernels {
namespace {

constexpr size_t kLanes = 16;
constexpr size_t kBlock = 64 * kLanes;
constexpr float kInfinity = std::numeric_limits<float>::infinity();

// The scans for each set of instructions; a lane is one operation, so both give the same bits.
#define PARITY_SCANS plain
#include "kernels/top_k_scans.h"
#undef PARITY_SCANS
#if defined(__x86_64__)
#pragma GCC push_options
#pragma GCC target("avx2")
#define PARITY_SCANS avx2
#include "kernels/top_k_scans.h"
#undef PARITY_SCANS
#pragma GCC pop_options
#endif

struct Scans {
  double (*sum_of_exp)(absl::Span<const float> block, float max);
  float (*largest)(absl::Span<const float> block, bool& nan);
};

Scans BestScans() {
#if defined(__x86_64__)
  static const bool has_avx2 = __builtin_cpu_supports("avx2") != 0;
  if (has_avx2) return {avx2::SumOfExp, avx2::Largest};
#endif
  return {plain::SumOfExp, plain::Largest};
}

absl::Span<const float> BlockOf(absl::Span<const float> row, size_t index) {
  return row.subspan(index * kBlock, kBlock);
}

// Of values that come in the order of their ids: what is no larger than the k-th so far ranks after
// it. Twice as many as asked for are kept before the worse half is dropped. `most`: the largest
// value of each block.
std::vector<TopValue> Largest(absl::Span<const float> row, const std::vector<float>& most,
                              size_t k) {
  std::vector<TopValue> kept;
  kept.reserve(std::min(row.size(), 2 * k));
  float bound = -kInfinity;
  bool bounded = false;  // `bound` is the k-th
  for (size_t i = 0; i < row.size(); ++i) {
    if (bounded && i % kBlock == 0 && !(most[i / kBlock] > bound)) {
      i += kBlock - 1;
      continue;
    }
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

// The first of the largest.
std::vector<TopValue> First(absl::Span<const float> row, const std::vector<float>& most) {
  const size_t index = std::max_element(most.begin(), most.end()) - most.begin();
  const absl::Span<const float> block = BlockOf(row, index);
  const auto found = std::find(block.begin(), block.end(), most[index]);
  if (found == block.end()) return {};  // NaNs only
  return {{static_cast<int32_t>(found - row.begin()), *found}};
}

}  // namespace

TopValues TopOf(absl::Span<const float> row, int32_t k) {
  CHECK_GE(k, 1);
  if (row.empty()) return {{}, std::numeric_limits<double>::quiet_NaN()};
  const Scans scans = BestScans();
  const size_t blocks = (row.size() + kBlock - 1) / kBlock;
  std::vector<float> most(blocks);
  bool nan = false;
  for (size_t b = 0; b < blocks; ++b) most[b] = scans.largest(BlockOf(row, b), nan);
  const float max = *std::max_element(most.begin(), most.end());
  TopValues top;
  top.values = k == 1 ? First(row, most) : Largest(row, most, k);
  if (nan || max == -kInfinity) {
    top.exp_sum = std::numeric_limits<double>::quiet_NaN();
  } else if (max == kInfinity) {
    top.exp_sum = std::numeric_limits<double>::infinity();
  } else {
    for (size_t b = 0; b < blocks; ++b) top.exp_sum += scans.sum_of_exp(BlockOf(row, b), max);
  }
  return top;
}

}  // namespace parity::kernels
