// What a token is chosen from where not every logit comes to the host: the largest values of a row,
// and the row's sum of exponentials. Defines Backend::TopK.
#ifndef PARITY_KERNELS_TOP_K_H_
#define PARITY_KERNELS_TOP_K_H_

#include <cstdint>
#include <vector>

#include "absl/types/span.h"

namespace parity::kernels {

// Most values that may be asked for: a card sorts a few thousand at a time.
inline constexpr int32_t kMostTopK = 1024;

struct TopValue {
  int32_t id;  // column
  float value;
};

// Whether a comes before b. Zeros are equal, whatever their signs.
inline bool RanksBefore(const TopValue& a, const TopValue& b) {
  return a.value != b.value ? a.value > b.value : a.id < b.id;
}

// Of one row of finite or infinite values and NaNs.
struct TopValues {
  // Largest first, of equal ones the lower id first, as many as were asked for, or as the row has;
  // no NaNs. Those for a smaller k are the first of those for a larger one.
  std::vector<TopValue> values;
  // Sum of exp(x - values[0].value) over the row, whatever k is. NaN where the row holds a NaN or
  // nothing above -infinity, else infinity where the largest value is. The logarithm of the sum of
  // exp(x) is values[0].value + log(exp_sum). Relative error below 6e-6: exp within 3e-7, x - max
  // rounded, at most 64 additions in float before the sums go on in double.
  double exp_sum = 0;
};

// The same of a row in the host's memory. Sixteen sums by index mod 16 in each 1,024 values, in
// float; these in double, rising. REQUIRES: k >= 1.
TopValues TopOf(absl::Span<const float> row, int32_t k);

}  // namespace parity::kernels

#endif  // PARITY_KERNELS_TOP_K_H_
