// RMSNorm, the gated activations and conversions over virtual lanes. Textual header, see lanes.h.
#ifndef PARITY_KERNELS_CPU_ELEMENTWISE_H_
#define PARITY_KERNELS_CPU_ELEMENTWISE_H_

#include "kernels/cpu/exp.h"

namespace parity::kernels::PARITY_LANES {

// Calls body(i, n) for whole groups of eight and once for the rest: n is how many of the lanes are
// real.
template <typename Body>
PARITY_INLINE void ForLanes(int64_t count, Body body) {
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) body(i, kLanes);
  if (i < count) body(i, count - i);
}

// The lanes past `n` read as zero and are not written.
template <typename T>
PARITY_INLINE auto LoadSome(const T* from, int64_t n) {
  using Lanes = FloatLanes;
  if (n == kLanes) return Lanes::Load(from);
  T padded[kLanes] = {};
  std::memcpy(padded, from, n * sizeof(T));
  return Lanes::Load(padded);
}

PARITY_INLINE void StoreSome(float* to, F8 v, int64_t n) {
  std::memcpy(to, &v, n == kLanes ? sizeof(v) : n * sizeof(float));
}

PARITY_INLINE F8 ThroughHalf(F8 v) {
  uint16_t halves[kLanes];
  StoreHalves(halves, v);
  return LoadFloats(halves);
}

static double SumOfSquaresNative(const float* x, int64_t n) {
  D8 sum = Fill(0.0);
  ForLanes(n, [&](int64_t i, int64_t lanes) {
    const F8 v = LoadSome(x + i, lanes);
    sum = sum + Widen(v * v);
  });
  return Sum(sum);
}

static void RmsNormNative(const float* x, const float* weight, int64_t n, float eps, float* out) {
  const float mean = static_cast<float>(SumOfSquaresNative(x, n) / static_cast<double>(n));
  const F8 scale = Fill(1.0f / __builtin_sqrtf(mean + eps));
  ForLanes(n, [&](int64_t i, int64_t lanes) {
    StoreSome(out + i, LoadSome(x + i, lanes) * scale * LoadSome(weight + i, lanes), lanes);
  });
}

static void RmsNormF32(const float* x, const float* weight, int64_t n, float eps, float* out) {
  D8 sum = Fill(0.0);
  ForLanes(n, [&](int64_t i, int64_t lanes) {
    const D8 v = Widen(LoadSome(x + i, lanes));
    sum = Fma(v, v, sum);
  });
  const double mean = Sum(sum) / static_cast<double>(n);
  const D8 scale = Fill(1.0 / __builtin_sqrt(mean + static_cast<double>(eps)));
  ForLanes(n, [&](int64_t i, int64_t lanes) {
    const D8 v = Widen(LoadSome(x + i, lanes)) * scale * Widen(LoadSome(weight + i, lanes));
    StoreSome(out + i, Narrow(v), lanes);
  });
}

static void SiluNative(const float* gate, const float* up, int64_t n, float* out) {
  ForLanes(n, [&](int64_t i, int64_t lanes) {
    const F8 g = LoadSome(gate + i, lanes);
    const F8 silu = g / (Fill(1.0f) + Exp(Fill(0.0f) - g));
    StoreSome(out + i, silu * LoadSome(up + i, lanes), lanes);
  });
}

static void SiluF32(const float* gate, const float* up, int64_t n, float* out) {
  ForLanes(n, [&](int64_t i, int64_t lanes) {
    const D8 g = Widen(LoadSome(gate + i, lanes));
    const D8 silu = g / (Fill(1.0) + Exp(Fill(0.0) - g));
    StoreSome(out + i, Narrow(silu * Widen(LoadSome(up + i, lanes))), lanes);
  });
}

// 0.5 x (1 + tanh(u)) = x / (1 + e^(-2u)) with u = sqrt(2/pi) (x + 0.044715 x^3): no cancellation
// for negative x.
static void GeluF32(const float* gate, const float* up, int64_t n, float* out) {
  const D8 minus_two_root = Fill(-2.0 * 0.79788456080286535588);
  ForLanes(n, [&](int64_t i, int64_t lanes) {
    const D8 g = Widen(LoadSome(gate + i, lanes));
    const D8 u = minus_two_root * g * Fma(Fill(0.044715) * g, g, Fill(1.0));
    const D8 gelu = g / (Fill(1.0) + Exp(u));
    StoreSome(out + i, Narrow(gelu * Widen(LoadSome(up + i, lanes))), lanes);
  });
}

static void ToHalves(const float* x, int64_t n, uint16_t* out) {
  ForLanes(n, [&](int64_t i, int64_t lanes) {
    uint16_t halves[kLanes];
    StoreHalves(halves, LoadSome(x + i, lanes));
    std::memcpy(out + i, halves, lanes * sizeof(uint16_t));
  });
}

static void ThroughHalves(const float* x, int64_t n, float* out) {
  ForLanes(n, [&](int64_t i, int64_t lanes) {
    StoreSome(out + i, ThroughHalf(LoadSome(x + i, lanes)), lanes);
  });
}

static void Add(const float* a, const float* b, int64_t n, float* out) {
  ForLanes(n, [&](int64_t i, int64_t lanes) {
    StoreSome(out + i, LoadSome(a + i, lanes) + LoadSome(b + i, lanes), lanes);
  });
}

static void ExpFloats(const float* x, int64_t n, float* out) {
  ForLanes(
      n, [&](int64_t i, int64_t lanes) { StoreSome(out + i, Exp(LoadSome(x + i, lanes)), lanes); });
}

static void ExpDoubles(const double* x, int64_t n, double* out) {
  for (int64_t i = 0; i < n; ++i) out[i] = Exp(Fill4(x[i]))[0];
}

}  // namespace parity::kernels::PARITY_LANES

#endif  // PARITY_KERNELS_CPU_ELEMENTWISE_H_
