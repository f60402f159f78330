#include "worker/request/sampler.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_format.h"

namespace parity::request {
namespace {

absl::Status NoneLeft() {
  return absl::FailedPreconditionError("every logit is NaN, no token can be chosen");
}

}  // namespace

std::string Describe(const SamplerOptions& options) {
  if (options.temperature == 0) return "greedy";
  return absl::StrFormat("temperature=%g top_k=%d top_p=%g min_p=%g seed=%d", options.temperature,
                         options.top_k, options.top_p, options.min_p, options.seed);
}

int32_t TopNeeded(const SamplerOptions& options) {
  if (options.temperature == 0) return 1;
  return options.top_k <= engine::kMostTopLogits ? options.top_k : 0;
}

float LogProbability(const engine::TopLogits& top, float logit) {
  if (std::isnan(top.exp_sum)) return std::nanf("");
  const float max = top.values[0].value;
  if (std::isinf(max)) return logit == max ? 0.0f : -HUGE_VALF;
  return static_cast<float>((static_cast<double>(logit) - max) - std::log(top.exp_sum));
}

absl::StatusOr<Choice> Sampler::ChooseTop(const engine::TopLogits& top) {
  if (top.values.empty()) return NoneLeft();
  const float best = top.values[0].value;
  if (options_.temperature == 0 || std::isinf(best)) return Choice{top.values[0].id, best};
  candidates_.clear();
  for (const auto& [id, logit] : top.values) candidates_.push_back({id, logit});
  return Draw(best);
}

absl::StatusOr<Choice> Sampler::Choose(absl::Span<const float> logits) {
  int32_t best = -1;
  for (size_t i = 0; i < logits.size(); ++i) {
    if (std::isnan(logits[i])) continue;
    if (best < 0 || logits[i] > logits[best]) best = static_cast<int32_t>(i);
  }
  if (best < 0) return NoneLeft();
  // An infinite logit leaves nothing to draw from.
  if (options_.temperature == 0 || std::isinf(logits[best])) return Choice{best, logits[best]};
  candidates_.clear();
  for (size_t i = 0; i < logits.size(); ++i) {
    if (!std::isnan(logits[i])) candidates_.push_back({static_cast<int32_t>(i), logits[i]});
  }
  return Draw(logits[best]);
}

void Sampler::CutTopK() {
  const bool sorted_needed = options_.top_k > 0 || (options_.top_p > 0 && options_.top_p < 1);
  if (!sorted_needed) return;
  const size_t keep = options_.top_k > 0 ? std::min<size_t>(options_.top_k, candidates_.size())
                                         : candidates_.size();
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

Choice Sampler::Draw(float best) {
  CutTopK();
  for (Candidate& candidate : candidates_) {
    candidate.weight = std::exp(static_cast<double>(candidate.logit) - best);
  }
  CutTopPAndMinP();
  for (Candidate& candidate : candidates_) {
    candidate.weight =
        std::exp((static_cast<double>(candidate.logit) - best) / options_.temperature);
  }
  double total = 0;
  for (const Candidate& candidate : candidates_) total += candidate.weight;
  // 53 bits to [0, 1): std::uniform_real_distribution may differ between libraries.
  double left = static_cast<double>(bits_() >> 11) * 0x1p-53 * total;
  for (const Candidate& candidate : candidates_) {
    left -= candidate.weight;
    if (left < 0) return Choice{candidate.id, candidate.logit};
  }
  return Choice{candidates_.back().id, candidates_.back().logit};
}

}  // namespace parity::request
