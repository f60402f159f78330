#include "collector/compare/pair_metrics.h"

#include <glog/logging.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>

#include "proto/tensor/values.h"

namespace parity::compare {
namespace {

constexpr int64_t kBlock = 1024;  // floats: two blocks and their lanes stay in a 32 KiB L1
constexpr int kTop = 5;

float At(const char* floats, int64_t i) {
  float value;
  std::memcpy(&value, floats + 4 * i, sizeof(value));
  return value;
}

double Total(const double* lanes) {
  // A fixed tree: the same bits at every SIMD level.
  return ((lanes[0] + lanes[1]) + (lanes[2] + lanes[3])) +
         ((lanes[4] + lanes[5]) + (lanes[6] + lanes[7]));
}

int64_t ElementsOf(const Payload& payload) {
  const int width = tensor::ElementBytes(payload.dtype);
  CHECK_GT(width, 0) << "payload without a type";
  return static_cast<int64_t>(payload.bytes.size()) / width;
}

// 0 NaN-free kinds: finite 0, NaN 1, +Inf 2, -Inf 3.
int Kind(float value) {
  if (std::isnan(value)) return 1;
  if (std::isinf(value)) return value > 0 ? 2 : 3;
  return 0;
}

double RatioOfSquares(double difference, double reference) {
  if (difference == 0) return 0;
  return reference == 0 ? std::numeric_limits<double>::infinity() : difference / reference;
}

// The five largest of n floats, by value and then by lower index, given each block's largest.
std::vector<int32_t> TopFive(const char* floats, int64_t n, const std::vector<float>& block_max) {
  auto before = [&](int32_t x, int32_t y) {
    const float vx = At(floats, x), vy = At(floats, y);
    return vx > vy || (vx == vy && x < y);
  };
  std::vector<int32_t> blocks(block_max.size());
  std::iota(blocks.begin(), blocks.end(), 0);
  std::sort(blocks.begin(), blocks.end(),
            [&](int32_t x, int32_t y) { return block_max[x] > block_max[y]; });
  std::vector<int32_t> top;
  for (const int32_t block : blocks) {
    if (top.size() == kTop && block_max[block] < At(floats, top.back())) break;
    const int64_t end = std::min(n, (block + 1) * kBlock);
    for (int64_t i = block * kBlock; i < end; ++i) {
      const int32_t index = static_cast<int32_t>(i);
      if (top.size() == kTop && !before(index, top.back())) continue;
      top.insert(std::lower_bound(top.begin(), top.end(), index, before), index);
      if (top.size() > kTop) top.pop_back();
    }
  }
  return top;
}

// How many of n floats come before `index`.
int32_t RankOf(const char* floats, int64_t n, int64_t index, const std::vector<float>& block_max) {
  const float value = At(floats, index);
  int64_t rank = 0;
  for (size_t block = 0; block < block_max.size(); ++block) {
    if (block_max[block] < value) continue;
    const int64_t begin = static_cast<int64_t>(block) * kBlock;
    for (int64_t i = begin; i < std::min(n, begin + kBlock); ++i) {
      const float other = At(floats, i);
      rank += other > value || (other == value && i < index);
    }
  }
  return static_cast<int32_t>(rank);
}

// KL by the definition, for logits that differ too much for the series.
double PlainKl(const char* a, const char* b, int64_t n, double a_max, double b_max) {
  double a_sum = 0, b_sum = 0;
  for (int64_t i = 0; i < n; ++i) {
    a_sum += std::exp(At(a, i) - a_max);
    b_sum += std::exp(At(b, i) - b_max);
  }
  const double shift = (a_max + std::log(a_sum)) - (b_max + std::log(b_sum));
  double kl = 0;
  for (int64_t i = 0; i < n; ++i) {
    const double va = At(a, i);
    kl += std::exp(va - a_max) / a_sum * (va - At(b, i) - shift);
  }
  return std::max(0.0, kl);
}

}  // namespace

const char* PairComparer::Block(const Payload& payload, int64_t begin, int64_t n, float* buffer) {
  const int64_t width = tensor::ElementBytes(payload.dtype);
  const absl::string_view bytes = payload.bytes.substr(begin * width, n * width);
  if (payload.dtype == v1::DTYPE_F32) return bytes.data();
  tensor::DecodeTo(payload.dtype, bytes, buffer);
  return reinterpret_cast<const char*>(buffer);
}

PairMetrics PairComparer::Compare(const Payload& reference, const Payload& candidate) {
  PairMetrics metrics;
  metrics.elements = std::min(ElementsOf(reference), ElementsOf(candidate));
  if (metrics.elements == 0) return metrics;
  metrics.bit_identical = reference.dtype == candidate.dtype && reference.bytes == candidate.bytes;
  float a_buffer[kBlock], b_buffer[kBlock];
  PairSums sums;
  block_max_.clear();
  for (int64_t begin = 0; begin < metrics.elements; begin += kBlock) {
    const int64_t n = std::min(kBlock, metrics.elements - begin);
    block_max_.push_back(kernel_.accumulate(Block(reference, begin, n, a_buffer),
                                            Block(candidate, begin, n, b_buffer), n, &sums));
  }
  // Squares of floats cannot overflow a double, so the sums are finite exactly when every value is.
  if (std::isfinite(Total(sums.squared_a)) && std::isfinite(Total(sums.squared_b))) {
    metrics.finite = metrics.elements;
    CompareFinite(reference, candidate, sums, &metrics);
  } else {
    CompareNonFinite(reference, candidate, &metrics);
  }
  return metrics;
}

void PairComparer::CompareFinite(const Payload& reference, const Payload& candidate,
                                 const PairSums& sums, PairMetrics* metrics) {
  const double n = static_cast<double>(metrics->elements);
  const double dd = Total(sums.squared_difference);
  const double aa = Total(sums.squared_a), bb = Total(sums.squared_b);
  metrics->mean_abs = Total(sums.abs_difference) / n;
  metrics->rmse = std::sqrt(dd / n);
  metrics->nmse = RatioOfSquares(dd, aa);
  metrics->cosine = aa == 0 || bb == 0 ? 0 : Total(sums.product) / (std::sqrt(aa) * std::sqrt(bb));
  metrics->reference_rms = std::sqrt(aa / n);
  const auto worst = std::max_element(block_max_.begin(), block_max_.end());
  metrics->max_abs = *worst;
  const int64_t begin = (worst - block_max_.begin()) * kBlock;
  const int64_t count = std::min(kBlock, metrics->elements - begin);
  float a_buffer[kBlock], b_buffer[kBlock];
  const char* a = Block(reference, begin, count, a_buffer);
  const char* b = Block(candidate, begin, count, b_buffer);
  // The kernel's |a-b| in float is the exact one but for 1e-7: it skips what is clearly smaller.
  // Its bound is threshold * max(|a|, floor), a constant with a floor above every |a|.
  constexpr double kFloor = 0x1p60;
  const bool filter = metrics->max_abs > 1e-15 && metrics->max_abs < 1e15 && aa < kFloor;
  const float threshold = static_cast<float>(metrics->max_abs * (1 - 1e-6) / kFloor);
  int64_t i = 0;
  while (true) {
    if (filter) i += kernel_.first_exceeding(a + 4 * i, b + 4 * i, count - i, threshold, kFloor);
    i = std::min(i, count - 1);
    if (i + 1 == count || std::fabs(double{At(a, i)} - At(b, i)) == metrics->max_abs) break;
    ++i;
  }
  metrics->max_abs_index = begin + i;
  metrics->reference_at_max = At(a, i);
  metrics->candidate_at_max = At(b, i);
  if (metrics->max_abs > 0) {
    metrics->max_channel_error = MaxChannelError(reference, candidate, *metrics);
  }
}

double PairComparer::MaxChannelError(const Payload& reference, const Payload& candidate,
                                     const PairMetrics& metrics) {
  const double rms = metrics.reference_rms;
  if (rms == 0) return std::numeric_limits<double>::infinity();
  auto error = [&](float a, float b) {
    return std::fabs(double{a} - b) / std::max(std::fabs(double{a}), rms);
  };
  // Start from the element of max_abs: most blocks then cannot hold a larger one, since |d| /
  // max(|a|, rms) <= |d| / rms.
  double best = error(static_cast<float>(metrics.reference_at_max),
                      static_cast<float>(metrics.candidate_at_max));
  // The float filter rounds by 1e-7 relative; near the denormals it cannot, and every element is
  // looked at.
  const bool filter = rms > 1e-25 && best > 1e-10;
  const float floor = static_cast<float>(std::min(rms, 3e38));
  float a_buffer[kBlock], b_buffer[kBlock];
  for (size_t block = 0; block < block_max_.size(); ++block) {
    if (block_max_[block] / rms <= best) continue;
    const int64_t begin = static_cast<int64_t>(block) * kBlock;
    const int64_t n = std::min(kBlock, metrics.elements - begin);
    const char* a = Block(reference, begin, n, a_buffer);
    const char* b = Block(candidate, begin, n, b_buffer);
    for (int64_t i = 0; i < n; ++i) {
      if (filter) {
        const float threshold = static_cast<float>(std::min(best * (1 - 1e-6), 3e38));
        i += kernel_.first_exceeding(a + 4 * i, b + 4 * i, n - i, threshold, floor);
        if (i >= n) break;
      }
      best = std::max(best, error(At(a, i), At(b, i)));
    }
  }
  return best;
}

void PairComparer::CompareNonFinite(const Payload& reference, const Payload& candidate,
                                    PairMetrics* metrics) {
  const std::vector<float> a = tensor::Decode(reference.dtype, reference.bytes);
  const std::vector<float> b = tensor::Decode(candidate.dtype, candidate.bytes);
  double sum = 0, dd = 0, aa = 0, bb = 0, ab = 0;
  for (int64_t i = 0; i < metrics->elements; ++i) {
    const int ka = Kind(a[i]), kb = Kind(b[i]);
    metrics->reference_nan += ka == 1;
    metrics->reference_inf += ka > 1;
    metrics->candidate_nan += kb == 1;
    metrics->candidate_inf += kb > 1;
    if (ka != 0 || kb != 0) {
      if (metrics->first_non_finite < 0) metrics->first_non_finite = i;
      if (ka != kb && metrics->one_sided_non_finite < 0) metrics->one_sided_non_finite = i;
      continue;
    }
    const double va = a[i], vb = b[i], d = std::fabs(va - vb);
    if (metrics->finite++ == 0 || d > metrics->max_abs) {
      metrics->max_abs = d;
      metrics->max_abs_index = i;
      metrics->reference_at_max = va;
      metrics->candidate_at_max = vb;
    }
    sum += d;
    dd += d * d;
    aa += va * va;
    bb += vb * vb;
    ab += va * vb;
  }
  if (metrics->finite == 0) {
    const double nan = std::numeric_limits<double>::quiet_NaN();
    metrics->max_abs = metrics->reference_at_max = metrics->candidate_at_max = nan;
    metrics->mean_abs = metrics->rmse = metrics->nmse = metrics->cosine = nan;
    metrics->max_channel_error = metrics->reference_rms = nan;
    return;
  }
  const double n = static_cast<double>(metrics->finite);
  metrics->mean_abs = sum / n;
  metrics->rmse = std::sqrt(dd / n);
  metrics->nmse = RatioOfSquares(dd, aa);
  metrics->cosine = aa == 0 || bb == 0 ? 0 : ab / (std::sqrt(aa) * std::sqrt(bb));
  metrics->reference_rms = std::sqrt(aa / n);
  for (int64_t i = 0; i < metrics->elements; ++i) {
    if (Kind(a[i]) != 0 || Kind(b[i]) != 0 || a[i] == b[i]) continue;
    const double bound = std::max(std::fabs(double{a[i]}), metrics->reference_rms);
    const double d = std::fabs(double{a[i]} - b[i]);
    metrics->max_channel_error =
        std::max(metrics->max_channel_error,
                 bound == 0 ? std::numeric_limits<double>::infinity() : d / bound);
  }
}

LogitsMetrics PairComparer::CompareLogits(const Payload& reference, const Payload& candidate,
                                          const PairMetrics& pair) {
  LogitsMetrics logits;
  const int64_t n = ElementsOf(reference);
  CHECK_EQ(n, ElementsOf(candidate));
  if (pair.finite != n || n == 0) return logits;
  reference_buffer_.resize(reference.dtype == v1::DTYPE_F32 ? 0 : n);
  candidate_buffer_.resize(candidate.dtype == v1::DTYPE_F32 ? 0 : n);
  const char* a = Block(reference, 0, n, reference_buffer_.data());
  const char* b = Block(candidate, 0, n, candidate_buffer_.data());
  std::vector<float> a_max, b_max;
  for (int64_t begin = 0; begin < n; begin += kBlock) {
    const int64_t count = std::min(kBlock, n - begin);
    a_max.push_back(kernel_.largest(a + 4 * begin, count));
    b_max.push_back(kernel_.largest(b + 4 * begin, count));
  }
  const std::vector<int32_t> a_top = TopFive(a, n, a_max), b_top = TopFive(b, n, b_max);
  logits.valid = true;
  logits.reference_top1 = a_top[0];
  logits.candidate_top1 = b_top[0];
  logits.reference_top1_rank = RankOf(b, n, a_top[0], b_max);
  if (a_top.size() > 1) {
    logits.reference_top1_gap = double{At(a, a_top[0])} - At(a, a_top[1]);
  }
  logits.top1_loss = double{At(b, b_top[0])} - At(b, a_top[0]);
  for (const int32_t index : a_top) {
    logits.top5_overlap += std::find(b_top.begin(), b_top.end(), index) != b_top.end();
  }
  logits.near_tie = logits.reference_top1 != logits.candidate_top1 &&
                    logits.reference_top1_rank <= kNearTieRank &&
                    logits.reference_top1_gap < kNearTieGap && logits.top1_loss < kNearTieGap;
  logits.kl_divergence =
      pair.bit_identical
          ? 0
          : KlDivergence({v1::DTYPE_F32, absl::string_view(a, 4 * n)},
                         {v1::DTYPE_F32, absl::string_view(b, 4 * n)}, pair, a_top[0]);
  return logits;
}

double PairComparer::KlDivergence(const Payload& reference, const Payload& candidate,
                                  const PairMetrics& pair, int32_t top1) {
  // With p = softmax(a) and t = (b - a) - shift for any shift: KL = log(E_p[exp t]) - E_p[t]
  //   = E_p[exp t - 1 - t] + log1p(u) - u,  u = E_p[exp t - 1].
  // Both terms are of second order in t, so an error in p only scales the result. The shift is the
  // difference at the reference's top-1, where most of p is.
  const char* a = reference.bytes.data();
  const char* b = candidate.bytes.data();
  const int64_t n = pair.elements;
  const float a_max = At(a, top1);
  const double shift = double{At(b, top1)} - a_max;
  if (pair.max_abs + std::fabs(shift) > 40) {
    double b_max = At(b, 0);
    for (int64_t i = 1; i < n; ++i) b_max = std::max<double>(b_max, At(b, i));
    return PlainKl(a, b, n, a_max, b_max);
  }
  WeightSums sums;
  for (size_t block = 0; block < block_max_.size(); ++block) {
    const int64_t begin = static_cast<int64_t>(block) * kBlock;
    const bool small = block_max_[block] + std::fabs(shift) <= 0.75;
    kernel_.weigh(a + 4 * begin, b + 4 * begin, std::min(kBlock, n - begin), a_max, shift, small,
                  &sums);
  }
  const double weight = Total(sums.weight);
  const double mean = Total(sums.shifted) / weight;
  const double excess = Total(sums.excess) / weight;
  const double u = excess + mean;
  const double kl = std::fabs(u) < 0.5 ? excess + (std::log1p(u) - u) : std::log1p(u) - mean;
  return std::max(0.0, kl);
}

}  // namespace parity::compare
