#include "worker/request/sampler.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "absl/strings/str_format.h"

namespace parity::request {
namespace {

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

// Sum of exp(logit - max). Blocks of floats, summed in double: 16 lanes of at most 64 terms keep
// 1e-6.
double SumOfExp(absl::Span<const float> logits, float max) {
  constexpr size_t kLanes = 16;
  constexpr size_t kBlock = 1024;
  double sum = 0;
  for (size_t begin = 0; begin < logits.size(); begin += kBlock) {
    const size_t end = std::min(logits.size(), begin + kBlock);
    float lanes[kLanes] = {};
    size_t i = begin;
    for (; i + kLanes <= end; i += kLanes) {
      for (size_t lane = 0; lane < kLanes; ++lane) {
        lanes[lane] += ExpNegative(logits[i + lane] - max);
      }
    }
    for (; i < end; ++i) lanes[0] += ExpNegative(logits[i] - max);
    for (const float lane : lanes) sum += lane;
  }
  return sum;
}

}  // namespace

std::string Describe(const SamplerOptions& options) {
  if (options.temperature == 0) return "greedy";
  return absl::StrFormat("temperature=%g top_k=%d top_p=%g min_p=%g seed=%d", options.temperature,
                         options.top_k, options.top_p, options.min_p, options.seed);
}

float LogProbability(absl::Span<const float> logits, int32_t id) {
  float max = logits[0];
  bool nan = false;
  for (const float logit : logits) {
    nan |= logit != logit;
    max = logit > max ? logit : max;
  }
  if (nan) return std::nanf("");
  if (std::isinf(max)) {
    if (max < 0) return std::nanf("");
    return logits[id] == max ? 0.0f : -HUGE_VALF;
  }
  return static_cast<float>((static_cast<double>(logits[id]) - max) -
                            std::log(SumOfExp(logits, max)));
}

absl::StatusOr<int32_t> Sampler::Choose(absl::Span<const float> logits) {
  int32_t best = -1;
  for (size_t i = 0; i < logits.size(); ++i) {
    if (std::isnan(logits[i])) continue;
    if (best < 0 || logits[i] > logits[best]) best = static_cast<int32_t>(i);
  }
  if (best < 0) return absl::FailedPreconditionError("every logit is NaN, no token can be chosen");
  // An infinite logit leaves nothing to draw from.
  if (options_.temperature == 0 || std::isinf(logits[best])) return best;
  candidates_.clear();
  for (size_t i = 0; i < logits.size(); ++i) {
    if (std::isnan(logits[i])) continue;
    const double weight = std::exp(static_cast<double>(logits[i]) - logits[best]);
    candidates_.push_back({static_cast<int32_t>(i), logits[i], weight});
  }
  CutTopK();
  CutTopPAndMinP();
  for (Candidate& candidate : candidates_) {
    candidate.weight =
        std::exp((static_cast<double>(candidate.logit) - logits[best]) / options_.temperature);
  }
  return Draw();
}

void Sampler::CutTopK() {
  const size_t keep = options_.top_k > 0 ? std::min<size_t>(options_.top_k, candidates_.size())
                                         : candidates_.size();
  const bool sorted_needed =
      keep < candidates_.size() || (options_.top_p > 0 && options_.top_p < 1);
  if (!sorted_needed) return;
  const auto likelier = [](const Candidate& a, const Candidate& b) {
    return a.logit != b.logit ? a.logit > b.logit : a.id < b.id;
  };
  std::partial_sort(candidates_.begin(), candidates_.begin() + keep, candidates_.end(), likelier);
  candidates_.resize(keep);
}

void Sampler::CutTopPAndMinP() {
  if (options_.top_p > 0 && options_.top_p < 1) {
    double total = 0;
    for (const Candidate& candidate : candidates_) total += candidate.weight;
    double reached = 0;
    size_t keep = 0;
    while (keep < candidates_.size() && reached < options_.top_p * total) {
      reached += candidates_[keep++].weight;
    }
    candidates_.resize(std::max<size_t>(keep, 1));
  }
  if (options_.min_p > 0) {
    // The likeliest one's weight is 1.
    candidates_.erase(std::remove_if(candidates_.begin(), candidates_.end(),
                                     [this](const Candidate& candidate) {
                                       return candidate.weight < options_.min_p;
                                     }),
                      candidates_.end());
  }
}

int32_t Sampler::Draw() {
  double total = 0;
  for (const Candidate& candidate : candidates_) total += candidate.weight;
  // 53 bits to [0, 1): std::uniform_real_distribution may differ between libraries.
  double left = static_cast<double>(bits_() >> 11) * 0x1p-53 * total;
  for (const Candidate& candidate : candidates_) {
    left -= candidate.weight;
    if (left < 0) return candidate.id;
  }
  return candidates_.back().id;
}

}  // namespace parity::request
