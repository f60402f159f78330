#include "kernels/cuda/launches.h"
#include "kernels/cuda/weight_access.cuh"

namespace parity::kernels::cuda {
namespace {

constexpr int kThreads = 128;

struct ToFloat {
  using Value = float;
  __device__ static float Of(float v) { return v; }
};
struct ToHalf {
  using Value = uint16_t;
  __device__ static uint16_t Of(float v) { return FloatToHalfBits(v); }
};
struct ToBf16 {
  using Value = uint16_t;
  __device__ static uint16_t Of(float v) { return FloatToBf16Bits(v); }
};

// Row `ids[i]` or, without ids, `first + i` of the weight becomes row i of out. A thread a chunk of
// blocks, or a value of a float type.
template <DType kType, bool kBlocks, typename To>
__global__ void DequantizeKernel(WeightView w, const int32_t* ids, int64_t first,
                                 typename To::Value* out) {
  const int64_t i = blockIdx.y;
  const int64_t row = ids != nullptr ? ids[i] : first + i;
  const int64_t at = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if constexpr (kBlocks) {
    if (at >= w.cols / kChunk) return;
    Chunk chunk;
    LoadChunk<kType>(w, row, at, chunk);
    typename To::Value* to = out + i * w.cols + at * kChunk;
    for (int j = 0; j < kChunk; ++j) to[j] = To::Of(ValueOf(chunk, j));
  } else {
    if (at < w.cols) out[i * w.cols + at] = To::Of(FloatAt<kType>(w.body, row * w.cols + at));
  }
}

template <typename To>
void LaunchDequantize(Stream& stream, const char* name, const WeightView& w, const int32_t* ids,
                      int64_t first, int64_t count, typename To::Value* out) {
  // The grid's second axis ends at 65535.
  constexpr int64_t kMostRows = 32768;
  for (int64_t done = 0; done < count; done += kMostRows) {
    const auto rows = static_cast<unsigned>(count - done < kMostRows ? count - done : kMostRows);
    const int32_t* const some_ids = ids != nullptr ? ids + done : nullptr;
    typename To::Value* const to = out + done * w.cols;
    ForFormat(
        w.dtype,
        [&](auto tag) {
          Launch(stream, name, DequantizeKernel<decltype(tag)::kValue, true, To>,
                 {dim3(Blocks(w.cols / kChunk, kThreads), rows), kThreads}, w, some_ids,
                 first + done, to);
        },
        [&](auto tag) {
          Launch(stream, name, DequantizeKernel<decltype(tag)::kValue, false, To>,
                 {dim3(Blocks(w.cols, kThreads), rows), kThreads}, w, some_ids, first + done, to);
        });
  }
}

}  // namespace

void EmbedRows(Stream& stream, const WeightView& table, const int32_t* ids, int64_t count,
               float* out) {
  LaunchDequantize<ToFloat>(stream, "EmbedRows", table, ids, 0, count, out);
}

void DequantizeRows(Stream& stream, const WeightView& weight, int64_t first, int64_t count,
                    TileType type, void* out) {
  const char* const name = "DequantizeRows";
  switch (type) {
    case TileType::kFloat:
      return LaunchDequantize<ToFloat>(stream, name, weight, nullptr, first, count,
                                       static_cast<float*>(out));
    case TileType::kHalf:
      return LaunchDequantize<ToHalf>(stream, name, weight, nullptr, first, count,
                                      static_cast<uint16_t*>(out));
    case TileType::kBf16:
      return LaunchDequantize<ToBf16>(stream, name, weight, nullptr, first, count,
                                      static_cast<uint16_t*>(out));
  }
}

}  // namespace parity::kernels::cuda
