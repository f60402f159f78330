#include "tests/parity/metrics.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace parity::testing {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// log(sum(exp(values))).
double LogSumExp(absl::Span<const float> values) {
  const double top = *std::max_element(values.begin(), values.end());
  double sum = 0;
  for (float v : values) sum += std::exp(v - top);
  return top + std::log(sum);
}

}  // namespace

double Nmse(absl::Span<const float> reference, absl::Span<const float> candidate) {
  if (reference.size() != candidate.size()) return kInfinity;
  double error = 0, power = 0;
  for (size_t i = 0; i < reference.size(); ++i) {
    const double a = reference[i], d = a - candidate[i];
    error += d * d;
    power += a * a;
  }
  if (error == 0) return 0;
  // A NaN on either side is no small number either.
  return power > 0 && std::isfinite(error) ? error / power : kInfinity;
}

double MaxAbs(absl::Span<const float> reference, absl::Span<const float> candidate) {
  if (reference.size() != candidate.size()) return kInfinity;
  double worst = 0;
  for (size_t i = 0; i < reference.size(); ++i) {
    const double d = std::abs(static_cast<double>(reference[i]) - candidate[i]);
    worst = std::isfinite(d) ? std::max(worst, d) : kInfinity;
  }
  return worst;
}

double KlDivergence(absl::Span<const float> reference, absl::Span<const float> candidate) {
  const double log_a = LogSumExp(reference), log_b = LogSumExp(candidate);
  double kl = 0;
  for (size_t i = 0; i < reference.size(); ++i) {
    const double log_p = reference[i] - log_a;
    kl += std::exp(log_p) * (log_p - (candidate[i] - log_b));
  }
  return kl;
}

int64_t ArgMax(absl::Span<const float> values) {
  return std::max_element(values.begin(), values.end()) - values.begin();
}

void LogitsComparison::Add(absl::Span<const float> reference, absl::Span<const float> candidate) {
  const double nmse = Nmse(reference, candidate);
  const double kl = KlDivergence(reference, candidate);
  sum_.nmse_mean += nmse;
  sum_.nmse_max = std::max(sum_.nmse_max, nmse);
  sum_.kl_mean += kl;
  sum_.kl_max = std::max(sum_.kl_max, kl);
  sum_.top1_equal += ArgMax(reference) == ArgMax(candidate) ? 1 : 0;
  ++sum_.rows;
}

LogitsDistance LogitsComparison::Result() const {
  LogitsDistance result = sum_;
  if (result.rows == 0) return result;
  result.nmse_mean /= static_cast<double>(result.rows);
  result.kl_mean /= static_cast<double>(result.rows);
  return result;
}

}  // namespace parity::testing
