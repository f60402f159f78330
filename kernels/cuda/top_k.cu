#include "kernels/cuda/device_code.cuh"
#include "kernels/cuda/launches.h"

namespace parity::kernels::cuda {
namespace {

constexpr int kThreads = 256;

__device__ TopKey KeyOf(float value, int64_t column) {
  if (value != value) return 0;
  const uint32_t bits = value == 0.0f ? 0 : __float_as_uint(value);  // zeros are equal
  const uint32_t rising = bits >> 31 != 0 ? ~bits : bits | 0x80000000u;
  return static_cast<TopKey>(rising) << 32 | (0xffffffffu - static_cast<uint32_t>(column));
}

__device__ float ValueOf(TopKey key) {
  if (key == 0) return -__uint_as_float(0x7f800000u);
  const auto rising = static_cast<uint32_t>(key >> 32);
  return __uint_as_float(rising >> 31 != 0 ? rising & 0x7fffffffu : ~rising);
}

__device__ void OrderPair(TopKey& a, TopKey& b, bool falling) {
  if ((a < b) != falling) return;
  const TopKey t = a;
  a = b;
  b = t;
}

// Leaves the `run` largest of keys[0, n) in keys[0, run), falling. n, run: powers of two, run <= n.
// First sorts each run, falling and rising in turn (bitonic sort). Then the pairwise larger ones of
// a falling and a rising run are the largest of both, and bitonic: half as many runs, merged.
__device__ void KeepLargest(TopKey* keys, int n, int run) {
  for (int size = 2; size <= run; size *= 2) {
    for (int stride = size / 2; stride > 0; stride /= 2) {
      for (int p = threadIdx.x; p < n / 2; p += kThreads) {
        const int i = 2 * p - p % stride;
        OrderPair(keys[i], keys[i + stride], (i & size) == 0);
      }
      __syncthreads();
    }
  }
  // The runs that are left lie `step` apart.
  for (int step = run; step < n; step *= 2) {
    const int pairs = n / (2 * step);
    for (int p = threadIdx.x; p < pairs * run; p += kThreads) {
      const int i = p / run * 2 * step + p % run;
      if (keys[i] < keys[i + step]) keys[i] = keys[i + step];
    }
    __syncthreads();
    for (int stride = run / 2; stride > 0; stride /= 2) {
      for (int p = threadIdx.x; p < pairs * (run / 2); p += kThreads) {
        const int at = p / (run / 2);
        const int within = p % (run / 2);
        const int i = at * 2 * step + 2 * within - within % stride;
        OrderPair(keys[i], keys[i + stride], at % 2 == 0);
      }
      __syncthreads();
    }
  }
}

// Thread i sums the values i, i + threads, ... of the slice; then the warp's tree; then the warps
// in order.
__device__ void SumSlice(const float* x, int count, float most, SliceSum* out) {
  PARITY_SHARED(double, sums, kThreads / kWarpSize);
  const bool finite = fabsf(most) < __uint_as_float(0x7f800000u);
  double sum = 0;
  for (int i = threadIdx.x; i < count; i += kThreads) {
    const float value = x[i];
    if (finite || value != value) sum += Exp(value - most);
  }
  sum = WarpSum(sum);
  if (threadIdx.x % kWarpSize == 0) sums[threadIdx.x / kWarpSize] = sum;
  __syncthreads();
  if (threadIdx.x != 0) return;
  sum = 0;
  for (int i = 0; i < kThreads / kWarpSize; ++i) sum += sums[i];
  *out = {sum, most};
}

// A block a piece of `piece` values (kValues, then sums: [rows, blocks]) or keys of a row of
// `count`. to: [rows, blocks, k].
template <bool kValues>
__global__ void TopKernel(const float* x, const TopKey* from, int64_t count, int64_t piece, int k,
                          int run, TopKey* to, SliceSum* sums) {
  PARITY_SHARED(TopKey, keys, kTopSlice);
  const int64_t row = blockIdx.y;
  const int64_t first = int64_t{blockIdx.x} * piece;
  const int mine = static_cast<int>(count - first < piece ? count - first : piece);
  int n = run;
  while (n < mine) n *= 2;
  for (int i = threadIdx.x; i < n; i += kThreads) {
    TopKey key = 0;
    if (i < mine) {
      const int64_t at = row * count + first + i;
      if constexpr (kValues) {
        key = KeyOf(x[at], first + i);
      } else {
        key = from[at];
      }
    }
    keys[i] = key;
  }
  __syncthreads();
  KeepLargest(keys, n, run);
  const int64_t block = row * gridDim.x + blockIdx.x;
  for (int i = threadIdx.x; i < k; i += kThreads) to[block * k + i] = keys[i];
  if constexpr (kValues) SumSlice(x + row * count + first, mine, ValueOf(keys[0]), sums + block);
}

// Keys that a block merges: whole lists of k, at least four.
int64_t MergedKeys(int32_t k) { return kTopSlice / k * k; }

}  // namespace

int64_t TopScratchBytes(int64_t rows, int64_t cols, int32_t k) {
  // The lists of the slices, and what becomes of them, in turn.
  const int64_t lists = TopSlices(cols);
  if (lists == 1) return 0;
  return rows * (lists + (lists * k + MergedKeys(k) - 1) / MergedKeys(k)) * k *
         static_cast<int64_t>(sizeof(TopKey));
}

void TopOfRows(Stream& stream, const TopCall& call) {
  const auto rows = static_cast<unsigned>(call.rows);
  int run = 1;
  while (run < call.k) run *= 2;
  int64_t lists = TopSlices(call.cols);
  auto* to = static_cast<TopKey*>(call.scratch);
  auto* other = to + call.rows * lists * call.k;
  Launch(stream, "TopK", TopKernel<true>, {dim3(static_cast<unsigned>(lists), rows), kThreads},
         call.x, nullptr, call.cols, kTopSlice, call.k, run, lists == 1 ? call.keys : to,
         call.sums);
  while (lists > 1) {
    const int64_t keys = lists * call.k;
    lists = Blocks(keys, MergedKeys(call.k));
    Launch(stream, "TopK", TopKernel<false>, {dim3(static_cast<unsigned>(lists), rows), kThreads},
           nullptr, to, keys, MergedKeys(call.k), call.k, run, lists == 1 ? call.keys : other,
           nullptr);
    TopKey* const from = to;
    to = other;
    other = from;
  }
}

}  // namespace parity::kernels::cuda
