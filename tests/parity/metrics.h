// Distances between a reference and a candidate, in double.
#ifndef PARITY_TESTS_PARITY_METRICS_H_
#define PARITY_TESTS_PARITY_METRICS_H_

#include <cstdint>

#include "absl/types/span.h"

namespace parity::testing {

// sum((a-b)^2) / sum(a^2), a = reference. 0 when both sums are 0; infinite when only the divisor
// is, or sizes differ.
double Nmse(absl::Span<const float> reference, absl::Span<const float> candidate);
double MaxAbs(absl::Span<const float> reference, absl::Span<const float> candidate);
// KL(softmax(reference) || softmax(candidate)) in nats.
double KlDivergence(absl::Span<const float> reference, absl::Span<const float> candidate);
// Index of the largest value, the first one on ties.
int64_t ArgMax(absl::Span<const float> values);

// Two runs' logits, position by position.
struct LogitsDistance {
  double nmse_mean = 0, nmse_max = 0;
  double kl_mean = 0, kl_max = 0;
  int64_t top1_equal = 0, rows = 0;
};

class LogitsComparison {
 public:
  void Add(absl::Span<const float> reference, absl::Span<const float> candidate);
  LogitsDistance Result() const;

 private:
  LogitsDistance sum_;
};

}  // namespace parity::testing

#endif  // PARITY_TESTS_PARITY_METRICS_H_
