#include "kernels/cuda/device_code.cuh"
#include "kernels/cuda/launches.h"

namespace parity::kernels::cuda {
namespace {

constexpr int kThreads = 256;
// Groups up to here (heads) are normed by a warp each, longer ones by a block.
constexpr int64_t kWarpGroup = 256;

__device__ int64_t Index() { return int64_t{blockIdx.x} * kThreads + threadIdx.x; }

__global__ void AddKernel(const float* a, const float* b, int64_t count, float* out) {
  const int64_t i = Index();
  if (i < count) out[i] = a[i] + b[i];
}

__global__ void AddBiasKernel(const float* bias, int64_t cols, int64_t count, float* x) {
  const int64_t i = Index();
  if (i < count) x[i] += bias[i % cols];
}

__global__ void ScaleKernel(float factor, int64_t count, float* x) {
  const int64_t i = Index();
  if (i < count) x[i] *= factor;
}

struct Silu {
  template <typename S>
  __device__ static S Of(S x) {
    return x / (1 + Exp(-x));
  }
};

struct GeluTanh {
  template <typename S>
  __device__ static S Of(S x) {
    const S root = static_cast<S>(0.79788456080286535588);  // sqrt(2 / pi)
    const S u = root * x * (1 + static_cast<S>(0.044715) * x * x);
    // In double the exponential, which has no cancellation where 1 + tanh has.
    if constexpr (sizeof(S) == 8) {
      return x / (1 + Exp(-2 * u));
    } else {
      return static_cast<S>(0.5) * x * (1 + Tanh(u));
    }
  }
};

template <typename Act, typename S>
__global__ void GatedKernel(const float* gate, const float* up, int64_t count, float* out) {
  const int64_t i = Index();
  if (i < count) {
    out[i] = static_cast<float>(Act::Of(static_cast<S>(gate[i])) * static_cast<S>(up[i]));
  }
}

template <typename Act>
void LaunchGated(Stream& stream, const char* name, const float* gate, const float* up,
                 int64_t count, bool exact, float* out) {
  Launch(stream, name, exact ? GatedKernel<Act, double> : GatedKernel<Act, float>,
         {Blocks(count, kThreads), kThreads}, gate, up, count, out);
}

// kGroupThreads threads a group. Thread i sums the squares i, i + threads, ...; then the warp's
// tree; then the warps in order. kAdd: of a + b, which a thread writes to `added` and reads again.
template <int kGroupThreads, bool kExact, bool kAdd>
__global__ void RmsNormKernel(const float* a, const float* b, const float* weight, int64_t size,
                              float eps, float* added, float* out) {
  constexpr int kWarps = kGroupThreads / kWarpSize;
  const int64_t first = int64_t{blockIdx.x} * size;
  const float* const from = (kAdd ? added : a) + first;
  float* const to = out + first;
  double sum = 0;
  for (int64_t i = threadIdx.x; i < size; i += kGroupThreads) {
    if constexpr (kAdd) added[first + i] = a[first + i] + b[first + i];
    sum = Fma(static_cast<double>(from[i]), static_cast<double>(from[i]), sum);
  }
  sum = WarpSum(sum);
  if constexpr (kWarps > 1) {
    PARITY_SHARED(double, sums, kWarps);
    if (threadIdx.x % kWarpSize == 0) sums[threadIdx.x / kWarpSize] = sum;
    __syncthreads();
    sum = 0;
    for (int i = 0; i < kWarps; ++i) sum += sums[i];
  }
  const double scale = 1.0 / sqrt(sum / static_cast<double>(size) + static_cast<double>(eps));
  for (int64_t i = threadIdx.x; i < size; i += kGroupThreads) {
    if constexpr (kExact) {
      to[i] = static_cast<float>(from[i] * scale * weight[i]);
    } else {
      to[i] = from[i] * static_cast<float>(scale) * weight[i];
    }
  }
}

template <bool kAdd>
void LaunchRmsNorm(Stream& stream, const char* name, const float* a, const float* b,
                   const float* weight, int64_t groups, int64_t size, float eps, bool exact,
                   float* added, float* out) {
  const auto grid = static_cast<unsigned>(groups);
  if (size <= kWarpGroup) {
    Launch(stream, name,
           exact ? RmsNormKernel<kWarpSize, true, kAdd> : RmsNormKernel<kWarpSize, false, kAdd>,
           {grid, kWarpSize}, a, b, weight, size, eps, added, out);
  } else {
    Launch(stream, name,
           exact ? RmsNormKernel<kThreads, true, kAdd> : RmsNormKernel<kThreads, false, kAdd>,
           {grid, kThreads}, a, b, weight, size, eps, added, out);
  }
}

// A block a row: the angles of its position, then every head.
template <typename S>
__global__ void RopeKernel(RopeParameters rope, const int32_t* positions, int64_t heads,
                           int32_t head_size, float* x) {
  PARITY_DYNAMIC_SHARED(shared);
  const int pairs = rope.dims / 2;
  S* const cosines = reinterpret_cast<S*>(shared);
  S* const sines = cosines + pairs;
  const int32_t position = positions[blockIdx.x];
  for (int j = threadIdx.x; j < pairs; j += kThreads) {
    if constexpr (sizeof(S) == 8) {
      const double factor = rope.factors != nullptr ? rope.factors[j] : 1.0f;
      const double angle = static_cast<double>(position) * rope.freq_scale *
                           pow(static_cast<double>(rope.base), -2.0 * j / rope.dims) / factor;
      cosines[j] = cos(angle);
      sines[j] = sin(angle);
    } else {
      const float step = powf(rope.base, -2.0f / static_cast<float>(rope.dims));
      float theta = static_cast<float>(position);
      for (int i = 0; i < j; ++i) theta *= step;
      const float factor = rope.factors != nullptr ? rope.factors[j] : 1.0f;
      const float angle = rope.freq_scale * (theta / factor);
      cosines[j] = cosf(angle);
      sines[j] = sinf(angle);
    }
  }
  __syncthreads();
  float* const row = x + int64_t{blockIdx.x} * heads * head_size;
  for (int64_t i = threadIdx.x; i < heads * pairs; i += kThreads) {
    const int j = static_cast<int>(i % pairs);
    float* const a = row + i / pairs * head_size + (rope.adjacent ? 2 * j : j);
    float* const b = a + (rope.adjacent ? 1 : pairs);
    const S x0 = *a;
    const S x1 = *b;
    *a = static_cast<float>(x0 * cosines[j] - x1 * sines[j]);
    *b = static_cast<float>(x0 * sines[j] + x1 * cosines[j]);
  }
}

}  // namespace

void AddRows(Stream& stream, const float* a, const float* b, int64_t count, float* out) {
  Launch(stream, "Add", AddKernel, {Blocks(count, kThreads), kThreads}, a, b, count, out);
}

void AddBiasRows(Stream& stream, const float* bias, int64_t rows, int64_t cols, float* x) {
  const int64_t count = rows * cols;
  Launch(stream, "AddBias", AddBiasKernel, {Blocks(count, kThreads), kThreads}, bias, cols, count,
         x);
}

void ScaleAll(Stream& stream, float factor, int64_t count, float* x) {
  Launch(stream, "Scale", ScaleKernel, {Blocks(count, kThreads), kThreads}, factor, count, x);
}

void SiluTimes(Stream& stream, const float* gate, const float* up, int64_t count, bool exact,
               float* out) {
  LaunchGated<Silu>(stream, "SiluTimes", gate, up, count, exact, out);
}

void GeluTanhTimes(Stream& stream, const float* gate, const float* up, int64_t count, bool exact,
                   float* out) {
  LaunchGated<GeluTanh>(stream, "GeluTanhTimes", gate, up, count, exact, out);
}

void RmsNormGroups(Stream& stream, const float* x, const float* weight, int64_t groups,
                   int64_t size, float eps, bool exact, float* out) {
  LaunchRmsNorm<false>(stream, "RmsNorm", x, nullptr, weight, groups, size, eps, exact, nullptr,
                       out);
}

void AddRmsNormGroups(Stream& stream, const float* a, const float* b, const float* weight,
                      int64_t groups, int64_t size, float eps, bool exact, float* sum, float* out) {
  LaunchRmsNorm<true>(stream, "AddRmsNorm", a, b, weight, groups, size, eps, exact, sum, out);
}

void RopeRows(Stream& stream, const RopeParameters& rope, const int32_t* positions, int64_t rows,
              int64_t heads, int32_t head_size, bool exact, float* x) {
  const int64_t bytes = rope.dims * static_cast<int64_t>(exact ? sizeof(double) : sizeof(float));
  Launch(stream, "Rope", exact ? RopeKernel<double> : RopeKernel<float>,
         {static_cast<unsigned>(rows), kThreads, bytes}, rope, positions, heads, head_size, x);
}

}  // namespace parity::kernels::cuda
