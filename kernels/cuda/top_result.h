// What TopOfRows() of launches.h left, on the host.
#ifndef PARITY_KERNELS_CUDA_TOP_RESULT_H_
#define PARITY_KERNELS_CUDA_TOP_RESULT_H_

#include "absl/types/span.h"
#include "kernels/cuda/launches.h"
#include "kernels/top_k.h"

namespace parity::kernels::cuda {

// Of one row. The sums of the slices are joined in double, rising. keys: [k], sums: at least one.
TopValues TopOfKeys(absl::Span<const TopKey> keys, absl::Span<const SliceSum> sums);

}  // namespace parity::kernels::cuda

#endif  // PARITY_KERNELS_CUDA_TOP_RESULT_H_
