// How a weight lies in device memory. Seen by nvcc and by the host's compiler alike.
//
// The blocks of quantised types have odd sizes in the file (Q4_0: 18 bytes), which 16-byte loads
// cannot read. So each block is cut in two at upload: the body, a multiple of 16 bytes, and the
// side (scales that would break the alignment). All bodies stand in order, then all sides:
//   body: [rows][blocks][body_bytes], side: [rows][blocks][side_bytes].
#ifndef PARITY_KERNELS_CUDA_WEIGHT_VIEW_H_
#define PARITY_KERNELS_CUDA_WEIGHT_VIEW_H_

#include <cstdint>

#include "kernels/dtype.h"

namespace parity::kernels::cuda {

// The side is [side_at, side_at + side_bytes) of a block, its first or its last bytes.
struct BlockCut {
  int side_at;
  int side_bytes;
};

constexpr BlockCut CutOf(DType dtype) {
  switch (dtype) {
    case DType::kQ4_0:
    case DType::kQ8_0:
    case DType::kIQ4_NL:
      return {0, 2};
    case DType::kQ4_1:
      return {0, 4};
    case DType::kQ5_0:
      return {0, 6};
    case DType::kQ5_1:
      return {0, 8};
    case DType::kMXFP4:
      return {0, 1};
    case DType::kQ2_K:
      return {80, 4};
    case DType::kQ3_K:
      return {96, 14};
    case DType::kQ6_K:
      return {208, 2};
    default:  // Q4_K and Q5_K are multiples of 16; floats have no blocks
      return {0, 0};
  }
}

struct WeightView {
  DType dtype;
  int64_t rows;
  int64_t cols;
  const uint8_t* body;
  const uint8_t* side;
};

// Values that one lane decodes at a time, and that share an activation scale.
inline constexpr int kChunk = 32;

}  // namespace parity::kernels::cuda

#endif  // PARITY_KERNELS_CUDA_WEIGHT_VIEW_H_
