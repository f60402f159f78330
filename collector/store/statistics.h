// Statistics of one tensor, in one vectorised pass over its bytes.
#ifndef PARITY_COLLECTOR_STORE_STATISTICS_H_
#define PARITY_COLLECTOR_STORE_STATISTICS_H_

#include <cstdint>

#include "absl/strings/string_view.h"
#include "parity/v1/checkpoint.pb.h"

namespace parity::store {

// NaN and Inf are counted and left out of min, max, mean and rms, which are 0 where `finite` is 0.
// Sums run in double over 16 fixed lanes, so the bits do not depend on the CPU.
struct Statistics {
  int64_t finite = 0;
  int64_t nan_count = 0;
  int64_t inf_count = 0;
  double min = 0;
  double max = 0;
  double mean = 0;
  double rms = 0;
};

// REQUIRES: `bytes` is a whole number of elements of `dtype`, which is F32, F16 or BF16.
Statistics ComputeStatistics(v1::DType dtype, absl::string_view bytes);

}  // namespace parity::store

#endif  // PARITY_COLLECTOR_STORE_STATISTICS_H_
