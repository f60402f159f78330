#include "kernels/cuda/device_code.cuh"
#include "kernels/cuda/launches.h"

namespace parity::kernels::cuda {
namespace {

constexpr int kThreads = 256;

// A warp a chunk, a lane a value.
__global__ void QuantizeKernel(const float* x, int64_t chunks, int8_t* q, float* scales) {
  const int64_t chunk = int64_t{blockIdx.x} * (kThreads / kWarpSize) + threadIdx.x / kWarpSize;
  const int lane = threadIdx.x % kWarpSize;
  const int64_t at = chunk * kChunk + lane;
  const float value = chunk < chunks ? x[at] : 0.0f;
  const float most = WarpMax(fabsf(value));
  // A NaN (which no maximum shows) or an infinity must not become an integer: the scale carries it.
  const float not_finite = WarpSum(value - value);  // NaN, else 0
  if (chunk >= chunks) return;
  // Below 2^-119 the quotient could be infinite; such a chunk counts as zero.
  const float inverse = most > 0x1p-119f ? 127.0f / most : 0.0f;
  q[at] = static_cast<int8_t>(not_finite == 0.0f ? rintf(value * inverse) : 0.0f);
  if (lane == 0) scales[chunk] = not_finite == 0.0f ? most / 127.0f : not_finite;
}

__device__ float BlockMax(float value) {
  PARITY_SHARED(float, most, kThreads / kWarpSize);
  value = WarpMax(value);
  if (threadIdx.x % kWarpSize == 0) most[threadIdx.x / kWarpSize] = value;
  __syncthreads();
  for (int i = 0; i < kThreads / kWarpSize; ++i) value = fmaxf(value, most[i]);
  return value;
}

__global__ void ToHalfKernel(const float* x, int64_t cols, uint16_t* halves, float* factors) {
  const int64_t row = blockIdx.x;
  float most = 0.0f;
  for (int64_t k = threadIdx.x; k < cols; k += kThreads) {
    most = fmaxf(most, fabsf(x[row * cols + k]));
  }
  most = BlockMax(most);
  float factor = 1.0f;
  if (most > 0.0f && most < 3e38f) {
    // Powers of two by their exponent bits: 2^e with 2^(e + 10) <= most.
    const int exponent = static_cast<int>(__float_as_uint(most) >> 23) - 10;
    factor = __uint_as_float(static_cast<uint32_t>(exponent < 1 ? 1 : exponent) << 23);
  }
  for (int64_t k = threadIdx.x; k < cols; k += kThreads) {
    halves[row * cols + k] = FloatToHalfBits(x[row * cols + k] / factor);
  }
  if (threadIdx.x == 0) factors[row] = factor;
}

__global__ void ToBf16Kernel(const float* x, int64_t count, uint16_t* bf16) {
  const int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (i < count) bf16[i] = FloatToBf16Bits(x[i]);
}

__global__ void ScaleRowsKernel(const float* factors, int64_t cols, float* x) {
  const int64_t row = blockIdx.y;
  const int64_t k = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (k < cols) x[row * cols + k] *= factors[row];
}

}  // namespace

void QuantizeRows(Stream& stream, const float* x, int64_t rows, int64_t cols, int8_t* q,
                  float* scales) {
  const int64_t chunks = rows * cols / kChunk;
  Launch(stream, "QuantizeRows", QuantizeKernel, {Blocks(chunks, kThreads / kWarpSize), kThreads},
         x, chunks, q, scales);
}

void RowsToHalf(Stream& stream, const float* x, int64_t rows, int64_t cols, uint16_t* halves,
                float* factors) {
  Launch(stream, "RowsToHalf", ToHalfKernel, {static_cast<unsigned>(rows), kThreads}, x, cols,
         halves, factors);
}

void RowsToBf16(Stream& stream, const float* x, int64_t rows, int64_t cols, uint16_t* bf16) {
  const int64_t count = rows * cols;
  Launch(stream, "RowsToBf16", ToBf16Kernel, {Blocks(count, kThreads), kThreads}, x, count, bf16);
}

void ScaleRows(Stream& stream, const float* factors, int64_t rows, int64_t cols, float* x) {
  const dim3 grid(Blocks(cols, kThreads), static_cast<unsigned>(rows));
  Launch(stream, "ScaleRows", ScaleRowsKernel, {grid, kThreads}, factors, cols, x);
}

}  // namespace parity::kernels::cuda
