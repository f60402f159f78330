// A weight's values, whatever its type: the chunk or the float at a place, and code per type.
#ifndef PARITY_KERNELS_CUDA_WEIGHT_ACCESS_CUH_
#define PARITY_KERNELS_CUDA_WEIGHT_ACCESS_CUH_

#include "kernels/cuda/block_format.cuh"
#include "kernels/cuda/weight_view.h"

namespace parity::kernels::cuda {

// Elements of a block.
template <DType kType>
struct BlockSize {
  static constexpr bool kSuper = kType == DType::kQ2_K || kType == DType::kQ3_K ||
                                 kType == DType::kQ4_K || kType == DType::kQ5_K ||
                                 kType == DType::kQ6_K;
  static constexpr int kElements = kSuper ? 256 : 32;
};

// Bytes of the body of a block.
constexpr int BodyBytes(DType dtype) {
  switch (dtype) {
    case DType::kQ8_0:
      return 32;
    case DType::kQ2_K:
      return 80;
    case DType::kQ3_K:
      return 96;
    case DType::kQ4_K:
      return 144;
    case DType::kQ5_K:
      return 176;
    case DType::kQ6_K:
      return 208;
    default:
      return 16;
  }
}

// As constants, since device code calls no host function, not even at compile time.
template <DType kType>
inline constexpr int kBodyBytes = BodyBytes(kType);
template <DType kType>
inline constexpr int kSideBytes = CutOf(kType).side_bytes;

// Chunk `chunk` of row `row`. REQUIRES: cols is a multiple of the block.
template <DType kType>
__device__ inline void LoadChunk(const WeightView& w, int64_t row, int64_t chunk, Chunk& c) {
  constexpr int kChunksOfBlock = BlockSize<kType>::kElements / kChunk;
  const int64_t block = row * (w.cols / BlockSize<kType>::kElements) + chunk / kChunksOfBlock;
  Format<kType>::Load(w.body + block * kBodyBytes<kType>, w.side + block * kSideBytes<kType>,
                      static_cast<int>(chunk % kChunksOfBlock), c);
}

// Value j of a chunk. The product is exact (at most 22 bits), so this is the file's value rounded
// once, as the reference has it.
__device__ inline float ValueOf(const Chunk& c, int j) {
  const auto q = static_cast<int8_t>(c.q[j / 4] >> (8 * (j % 4)));
  return c.scale[j / 16] * static_cast<float>(q) + c.offset[j / 16];
}

// Value `at` of a float type.
template <DType kType>
__device__ inline float FloatAt(const uint8_t* body, int64_t at) {
  if constexpr (kType == DType::kF32) {
    return reinterpret_cast<const float*>(body)[at];
  } else if constexpr (kType == DType::kF16) {
    return HalfBitsToFloat(reinterpret_cast<const uint16_t*>(body)[at]);
  } else {
    return __uint_as_float(static_cast<uint32_t>(reinterpret_cast<const uint16_t*>(body)[at])
                           << 16);
  }
}

template <DType kType>
struct TypeTag {
  static constexpr DType kValue = kType;
};

// Calls blocks(TypeTag) for a quantised type and floats(TypeTag) for the others.
template <typename BlocksOp, typename FloatsOp>
void ForFormat(DType dtype, BlocksOp blocks, FloatsOp floats) {
  switch (dtype) {
    case DType::kF32:
      return floats(TypeTag<DType::kF32>());
    case DType::kF16:
      return floats(TypeTag<DType::kF16>());
    case DType::kBF16:
      return floats(TypeTag<DType::kBF16>());
    case DType::kQ4_0:
      return blocks(TypeTag<DType::kQ4_0>());
    case DType::kQ4_1:
      return blocks(TypeTag<DType::kQ4_1>());
    case DType::kQ5_0:
      return blocks(TypeTag<DType::kQ5_0>());
    case DType::kQ5_1:
      return blocks(TypeTag<DType::kQ5_1>());
    case DType::kQ8_0:
      return blocks(TypeTag<DType::kQ8_0>());
    case DType::kQ2_K:
      return blocks(TypeTag<DType::kQ2_K>());
    case DType::kQ3_K:
      return blocks(TypeTag<DType::kQ3_K>());
    case DType::kQ4_K:
      return blocks(TypeTag<DType::kQ4_K>());
    case DType::kQ5_K:
      return blocks(TypeTag<DType::kQ5_K>());
    case DType::kQ6_K:
      return blocks(TypeTag<DType::kQ6_K>());
    case DType::kIQ4_NL:
      return blocks(TypeTag<DType::kIQ4_NL>());
    case DType::kMXFP4:
      return blocks(TypeTag<DType::kMXFP4>());
  }
}

}  // namespace parity::kernels::cuda

#endif  // PARITY_KERNELS_CUDA_WEIGHT_ACCESS_CUH_
