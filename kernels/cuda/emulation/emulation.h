// What a kernel's source sees in place of CUDA when the host's compiler compiles it: the threads of
// a block are fibers that run one after the other and yield at barriers and warp shuffles.
//
// What it finds: reads and writes beyond an allocation or a shared array (with ASan), shared memory
// read before it is written (it starts as NaNs), barriers that not all threads reach (named, then
// abort), results that depend on the order of threads or blocks (run both orders, compare the
// bits). What it cannot find: races that both orders hide, and everything about speed.
//
// Threading: one thread.
#ifndef PARITY_KERNELS_CUDA_EMULATION_EMULATION_H_
#define PARITY_KERNELS_CUDA_EMULATION_EMULATION_H_

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>
#include <source_location>
#include <vector>

struct uint3 {
  unsigned x, y, z;
};

struct dim3 {
  unsigned x, y, z;
  dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}  // as CUDA's own
};

struct alignas(16) uint4 {
  uint32_t x, y, z, w;
};

namespace parity::kernels::cuda::emulation {

// In which order the threads of a block, and the blocks of a grid, take turns.
enum class Order { kForward, kReverse };
void SetOrder(Order order);

// Kernels run since the start of the process.
int64_t KernelsRun();

// Runs `thread` for every thread of the grid. Aborts naming the kernel where a barrier is not
// reached by all. REQUIRES: block.x is a multiple of 32 up to 1024; block.y and block.z are 1.
void Run(const char* kernel, dim3 grid, dim3 block, int64_t dynamic_shared_bytes,
         const std::function<void()>& thread);

// Launches with their arguments, in order.
using RecordedLaunches = std::vector<std::function<void()>>;

// The block's array that is declared at `site`; NaNs (all bits set) when the block starts.
void* Shared(int64_t bytes, std::source_location site);
void* DynamicShared();

// A barrier for the block or, if `warp`, for the 32 threads around the caller.
void Wait(bool warp, std::source_location site);
// Gives `bits` to the warp and returns those of `lane`.
uint64_t Exchange(uint64_t bits, unsigned lane, std::source_location site);

struct Indices {
  uint3 thread, block;
  dim3 block_dim, grid_dim;
};
// Of the thread that runs.
extern Indices g_indices;

}  // namespace parity::kernels::cuda::emulation

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define threadIdx (::parity::kernels::cuda::emulation::g_indices.thread)
#define blockIdx (::parity::kernels::cuda::emulation::g_indices.block)
#define blockDim (::parity::kernels::cuda::emulation::g_indices.block_dim)
#define gridDim (::parity::kernels::cuda::emulation::g_indices.grid_dim)

#define PARITY_SHARED(type, name, count)                                            \
  type* const name = static_cast<type*>(::parity::kernels::cuda::emulation::Shared( \
      (count) * static_cast<int64_t>(sizeof(type)), std::source_location::current()))
#define PARITY_DYNAMIC_SHARED(name) \
  unsigned char* const name =       \
      static_cast<unsigned char*>(::parity::kernels::cuda::emulation::DynamicShared())

inline void __syncthreads(std::source_location site = std::source_location::current()) {
  parity::kernels::cuda::emulation::Wait(false, site);
}

inline void __syncwarp(unsigned mask = 0xffffffffu,
                       std::source_location site = std::source_location::current()) {
  parity::kernels::cuda::emulation::Wait(true, site);
}

template <typename T>
T __shfl_xor_sync(unsigned mask, T value, int lane_mask,
                  std::source_location site = std::source_location::current()) {
  static_assert(sizeof(T) == 4 || sizeof(T) == 8);
  uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof(T));
  const unsigned lane = (threadIdx.x % 32) ^ static_cast<unsigned>(lane_mask);
  bits = parity::kernels::cuda::emulation::Exchange(bits, lane, site);
  std::memcpy(&value, &bits, sizeof(T));
  return value;
}

// Four products of signed bytes, added to c.
inline int __dp4a(int a, int b, int c) {
  uint32_t sum = static_cast<uint32_t>(c);  // wraps, as the instruction does
  for (int i = 0; i < 32; i += 8) {
    const int x = static_cast<int8_t>(static_cast<uint32_t>(a) >> i);
    const int y = static_cast<int8_t>(static_cast<uint32_t>(b) >> i);
    sum += static_cast<uint32_t>(x * y);
  }
  return static_cast<int>(sum);
}

// Byte i of the result is the byte of {x, y} that nibble i of the selector names.
inline unsigned __byte_perm(unsigned x, unsigned y, unsigned selector) {
  const uint64_t bytes = static_cast<uint64_t>(y) << 32 | x;
  unsigned result = 0;
  for (int i = 0; i < 4; ++i) {
    result |= static_cast<unsigned>(bytes >> (8 * (selector >> (4 * i) & 7)) & 0xff) << (8 * i);
  }
  return result;
}

inline unsigned __float_as_uint(float value) { return std::bit_cast<unsigned>(value); }
inline float __uint_as_float(unsigned bits) { return std::bit_cast<float>(bits); }

#endif  // PARITY_KERNELS_CUDA_EMULATION_EMULATION_H_
