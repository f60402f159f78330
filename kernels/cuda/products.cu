#include "kernels/cuda/launches.h"
#include "kernels/cuda/weight_access.cuh"

namespace parity::kernels::cuda {
namespace {

constexpr int kWarps = 4;  // of a block; a warp an output row
constexpr int kThreads = kWarps * kWarpSize;
// The grid's second axis ends at 65535.
constexpr int64_t kMostRowGroups = 32768;

// Integer dot products of a chunk with the activations of one row, scaled; without d_x.
template <typename F>
__device__ float Dot(const Chunk& c, const uint32_t (&x)[8]) {
  int products[2] = {0, 0};
  int sums[2] = {0, 0};
  for (int i = 0; i < 8; ++i) {
    const int half = F::kHalves ? i / 4 : 0;
    products[half] = __dp4a(static_cast<int>(c.q[i]), static_cast<int>(x[i]), products[half]);
    if (F::kOffset) sums[half] = __dp4a(0x01010101, static_cast<int>(x[i]), sums[half]);
  }
  float dot = c.scale[0] * static_cast<float>(products[0]);
  if (F::kOffset) dot = fmaf(c.offset[0], static_cast<float>(sums[0]), dot);
  if (F::kHalves) {
    dot = fmaf(c.scale[1], static_cast<float>(products[1]), dot);
    if (F::kOffset) dot = fmaf(c.offset[1], static_cast<float>(sums[1]), dot);
  }
  return dot;
}

__device__ float WithBias(float sum, const float* bias, int64_t row) {
  return bias != nullptr ? sum + bias[row] : sum;
}

// Lane l sums the chunks l, l + 32, ... of a row in rising order; then the warp's tree. A weight's
// chunk is decoded once for kRows rows of activations; the sums of one do not depend on the others.
template <DType kType, int kRows>
__global__ void Int8Kernel(WeightView w, const float* bias, const int8_t* q, const float* scales,
                           int64_t rows, int64_t first, float* out) {
  const int64_t row = int64_t{blockIdx.x} * kWarps + threadIdx.x / kWarpSize;
  if (row >= w.rows) return;
  const int lane = threadIdx.x % kWarpSize;
  const int64_t from = first + int64_t{blockIdx.y} * kRows;
  const int64_t chunks = w.cols / kChunk;
  float sums[kRows] = {};
  for (int64_t i = lane; i < chunks; i += kWarpSize) {
    Chunk chunk;
    LoadChunk<kType>(w, row, i, chunk);
    for (int t = 0; t < kRows; ++t) {
      if (from + t >= rows) break;
      const int64_t at = (from + t) * chunks + i;
      uint32_t x[8];
      Load16(reinterpret_cast<const uint8_t*>(q) + at * kChunk, x);
      Load16(reinterpret_cast<const uint8_t*>(q) + at * kChunk + 16, x + 4);
      sums[t] = fmaf(scales[at], Dot<Format<kType>>(chunk, x), sums[t]);
    }
  }
  for (int t = 0; t < kRows; ++t) {
    const float sum = WarpSum(sums[t]);
    if (lane == 0 && from + t < rows) out[(from + t) * w.rows + row] = WithBias(sum, bias, row);
  }
}

// The same over floats: lane l sums the values l, l + 32, ... (of a float type) or the chunks l,
// l + 32, ... value by value (of a quantised one).
template <DType kType, bool kBlocks, typename S>
__global__ void ValueKernel(WeightView w, const float* bias, const float* x, int64_t first,
                            float* out) {
  const int64_t row = int64_t{blockIdx.x} * kWarps + threadIdx.x / kWarpSize;
  if (row >= w.rows) return;
  const int lane = threadIdx.x % kWarpSize;
  const int64_t t = first + blockIdx.y;
  const float* const xs = x + t * w.cols;
  S sum = 0;
  if constexpr (kBlocks) {
    for (int64_t i = lane; i < w.cols / kChunk; i += kWarpSize) {
      Chunk chunk;
      LoadChunk<kType>(w, row, i, chunk);
      for (int j = 0; j < kChunk; ++j) {
        sum = Fma(static_cast<S>(ValueOf(chunk, j)), static_cast<S>(xs[i * kChunk + j]), sum);
      }
    }
  } else {
    for (int64_t k = lane; k < w.cols; k += kWarpSize) {
      const float value = FloatAt<kType>(w.body, row * w.cols + k);
      sum = Fma(static_cast<S>(value), static_cast<S>(xs[k]), sum);
    }
  }
  sum = WarpSum(sum);
  if (lane == 0) out[t * w.rows + row] = WithBias(static_cast<float>(sum), bias, row);
}

template <int kRows>
void LaunchInt8(Stream& stream, const WeightView& w, const float* bias, const int8_t* q,
                const float* scales, int64_t rows, float* out) {
  for (int64_t first = 0; first < rows; first += kMostRowGroups * kRows) {
    const unsigned groups = Blocks(rows - first, kRows);
    const dim3 grid(Blocks(w.rows, kWarps),
                    groups < kMostRowGroups ? groups : static_cast<unsigned>(kMostRowGroups));
    ForFormat(
        w.dtype,
        [&](auto tag) {
          Launch(stream, "Int8Product", Int8Kernel<decltype(tag)::kValue, kRows>, {grid, kThreads},
                 w, bias, q, scales, rows, first, out);
        },
        [](auto) {});
  }
}

template <DType kType, bool kBlocks, typename S>
void LaunchValues(Stream& stream, const char* name, const WeightView& w, const float* bias,
                  const float* x, int64_t rows, float* out) {
  for (int64_t first = 0; first < rows; first += kMostRowGroups) {
    const int64_t some = rows - first < kMostRowGroups ? rows - first : kMostRowGroups;
    const dim3 grid(Blocks(w.rows, kWarps), static_cast<unsigned>(some));
    Launch(stream, name, ValueKernel<kType, kBlocks, S>, {grid, kThreads}, w, bias, x, first, out);
  }
}

}  // namespace

void Int8Product(Stream& stream, const WeightView& weight, const float* bias, const int8_t* q,
                 const float* scales, int64_t rows, float* out) {
  if (rows == 1) {
    LaunchInt8<1>(stream, weight, bias, q, scales, rows, out);
  } else {
    LaunchInt8<4>(stream, weight, bias, q, scales, rows, out);
  }
}

void FloatProduct(Stream& stream, const WeightView& weight, const float* bias, const float* x,
                  int64_t rows, float* out) {
  ForFormat(
      weight.dtype, [](auto) {},
      [&](auto tag) {
        LaunchValues<decltype(tag)::kValue, false, float>(stream, "FloatProduct", weight, bias, x,
                                                          rows, out);
      });
}

void DoubleProduct(Stream& stream, const WeightView& weight, const float* bias, const float* x,
                   int64_t rows, float* out) {
  const char* const name = "DoubleProduct";
  ForFormat(
      weight.dtype,
      [&](auto tag) {
        LaunchValues<decltype(tag)::kValue, true, double>(stream, name, weight, bias, x, rows, out);
      },
      [&](auto tag) {
        LaunchValues<decltype(tag)::kValue, false, double>(stream, name, weight, bias, x, rows,
                                                           out);
      });
}

}  // namespace parity::kernels::cuda
