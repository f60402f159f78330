#include "kernels/cuda/top_result.h"

#include <bit>
#include <cmath>
#include <limits>

namespace parity::kernels::cuda {

TopValues TopOfKeys(absl::Span<const TopKey> keys, absl::Span<const SliceSum> sums) {
  TopValues top;
  for (const TopKey key : keys) {
    if (key == 0) break;
    const auto rising = static_cast<uint32_t>(key >> 32);
    const uint32_t bits = rising >> 31 != 0 ? rising & 0x7fffffffu : ~rising;
    const uint32_t column = 0xffffffffu - static_cast<uint32_t>(key);
    top.values.push_back({static_cast<int32_t>(column), std::bit_cast<float>(bits)});
  }
  const double most =
      top.values.empty() ? -std::numeric_limits<double>::infinity() : top.values[0].value;
  for (const SliceSum& slice : sums) {
    // A slice without a finite value adds nothing, but a NaN.
    top.exp_sum += std::isfinite(slice.most) ? slice.sum * std::exp(slice.most - most) : slice.sum;
  }
  if (!std::isfinite(most)) top.exp_sum += most > 0 ? most : std::nan("");
  return top;
}

}  // namespace parity::kernels::cuda
