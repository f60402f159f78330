// What every kernel file starts with: CUDA or its emulation, launches, halves, sums over a warp.
#ifndef PARITY_KERNELS_CUDA_DEVICE_CODE_CUH_
#define PARITY_KERNELS_CUDA_DEVICE_CODE_CUH_

#include <cstdint>

#include "kernels/cuda/stream.h"

#if defined(__CUDACC__)

#include <cuda_fp16.h>
#include <cuda_runtime.h>

#define PARITY_SHARED(type, name, count) __shared__ type name[count]
#define PARITY_DYNAMIC_SHARED(name) extern __shared__ __align__(16) unsigned char name[]

#else

#include "kernels/cuda/emulation/emulation.h"
#include "kernels/half.h"

#endif

namespace parity::kernels::cuda {

inline constexpr int kWarpSize = 32;

struct LaunchShape {
  dim3 grid;
  int block;  // threads, a multiple of 32
  int64_t shared_bytes = 0;
};

// Queues a kernel; a refused launch is kept in `stream`, and nothing is launched after it.
template <typename... Parameters, typename... Arguments>
void Launch(Stream& stream, const char* name, void (*kernel)(Parameters...),
            const LaunchShape& shape, Arguments... arguments) {
  if (stream.error != 0) return;
  if (stream.first_kernel == nullptr) stream.first_kernel = name;
  stream.last_kernel = name;
#if defined(__CUDACC__)
  kernel<<<shape.grid, shape.block, shape.shared_bytes, static_cast<cudaStream_t>(stream.handle)>>>(
      static_cast<Parameters>(arguments)...);
  const cudaError_t error = cudaGetLastError();
  if (error != cudaSuccess) {
    stream.error = static_cast<int>(error);
    stream.refused_kernel = name;
  }
#else
  const auto run = [=] {
    emulation::Run(name, shape.grid, dim3(shape.block), shape.shared_bytes,
                   [&] { kernel(static_cast<Parameters>(arguments)...); });
  };
  if (stream.recorded == nullptr) return run();
  static_cast<emulation::RecordedLaunches*>(stream.recorded)->push_back(run);
#endif
}

// Blocks of `size` that cover `count`.
inline unsigned Blocks(int64_t count, int64_t size) {
  return static_cast<unsigned>((count + size - 1) / size);
}

#if defined(__CUDACC__)

__device__ inline float HalfBitsToFloat(uint16_t bits) {
  return __half2float(__ushort_as_half(bits));
}
__device__ inline uint16_t FloatToHalfBits(float value) {
  return __half_as_ushort(__float2half_rn(value));
}

#else

inline float HalfBitsToFloat(uint16_t bits) { return HalfToFloat(bits); }
inline uint16_t FloatToHalfBits(float value) { return FloatToHalf(value); }

#endif

// To bfloat16, rounded to nearest even; NaNs quiet.
__device__ inline uint16_t FloatToBf16Bits(float value) {
  const uint32_t bits = __float_as_uint(value);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return static_cast<uint16_t>(bits >> 16 | 64u);
  return static_cast<uint16_t>((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
}

// One name for both precisions, so that templates need no cases.
__device__ inline float Fma(float a, float b, float c) { return fmaf(a, b, c); }
__device__ inline double Fma(double a, double b, double c) { return fma(a, b, c); }
__device__ inline float Exp(float x) { return expf(x); }
__device__ inline double Exp(double x) { return exp(x); }
__device__ inline float Tanh(float x) { return tanhf(x); }
__device__ inline double Tanh(double x) { return tanh(x); }
__device__ inline float Larger(float a, float b) { return fmaxf(a, b); }  // a NaN loses
__device__ inline double Larger(double a, double b) { return fmax(a, b); }

// Sum and maximum over the warp, in every lane. The tree is the same in all lanes: so are the bits.
template <typename S>
__device__ S WarpSum(S value) {
  for (int lane = kWarpSize / 2; lane > 0; lane /= 2) {
    value += __shfl_xor_sync(0xffffffffu, value, lane);
  }
  return value;
}

template <typename S>
__device__ S WarpMax(S value) {
  for (int lane = kWarpSize / 2; lane > 0; lane /= 2) {
    value = Larger(value, __shfl_xor_sync(0xffffffffu, value, lane));
  }
  return value;
}

}  // namespace parity::kernels::cuda

#endif  // PARITY_KERNELS_CUDA_DEVICE_CODE_CUH_
