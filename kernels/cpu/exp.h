// The exponential of all ops, written once per precision. Textual header, see lanes.h.
#ifndef PARITY_KERNELS_CPU_EXP_H_
#define PARITY_KERNELS_CPU_EXP_H_

#include "kernels/cpu/lanes.h"

namespace parity::kernels::PARITY_LANES {

// Exponent arithmetic on bits wraps: a lane that leaves the range is computed and not selected.
typedef uint32_t WrappingI8 __attribute__((vector_size(32)));
typedef uint64_t WrappingL4 __attribute__((vector_size(32)));

PARITY_INLINE I8 WrappingAdd(I8 a, I8 b) {
  return reinterpret_cast<I8>(reinterpret_cast<WrappingI8>(a) + reinterpret_cast<WrappingI8>(b));
}

// The algorithm of ggml_v_expf (ggml-cpu/vec.h, its AVX2 form), so that SiLU and softmax agree with
// llama.cpp: within 2 units in the last place; above 88.38 infinity, beneath -103.97 zero; NaN
// stays NaN.
PARITY_INLINE F8 Exp(F8 x) {
  const F8 shift = Fill(0x1.8p23f);  // pushes the integer part into the lowest mantissa bits
  const F8 z = Fma(x, Fill(0x1.715476p+0f), shift);
  const F8 n = z - shift;
  const F8 b = Fma(n, Fill(-0x1.7f7d1cp-20f), Fma(n, Fill(-0x1.62e4p-1f), x));
  const I8 e = Bits(z) << 23;
  const F8 k = Floats(WrappingAdd(e, I8{} + 0x3f800000));  // 2^n
  const F8 u = b * b;
  const F8 high = Fma(Fill(0x1.0e4020p-7f), b, Fill(0x1.573e2ep-5f));
  const F8 low = Fma(Fill(0x1.555e66p-3f), b, Fill(0x1.fffdb6p-2f));
  const F8 j = Fma(Fma(high, u, low), u, Fill(0x1.ffffecp-1f) * b);  // e^b - 1
  const I8 large = Abs(n) > Fill(126.0f);
  const F8 normal = Fma(k, j, k);
  if (!Any(large)) return normal;
  // 2^n leaves the exponent's range: two factors, or the square of one that overflows or
  // underflows.
  const I8 g = (n <= Fill(0.0f)) & static_cast<int32_t>(0x82000000u);
  const F8 s1 = Floats(WrappingAdd(g, I8{} + 0x7f000000));
  const F8 s2 = Floats(WrappingAdd(e, ~g + 1));
  const I8 beyond = Abs(n) > Fill(192.0f);
  return Select(beyond, s1 * s1, Select(large, Fma(s2, j, s2) * s1, normal));
}

PARITY_INLINE D4 Fill4(double x) { return D4{x, x, x, x}; }

// Within 2 units in the last place; above 709 infinity, beneath -708 zero; NaN stays NaN.
PARITY_INLINE D4 Exp(D4 x) {
  // 1/k! for k = 13 .. 0: the rest of the series is below 5e-18 for |b| <= ln(2) / 2.
  constexpr double kSeries[] = {1.0 / 6227020800.0,
                                1.0 / 479001600.0,
                                1.0 / 39916800.0,
                                1.0 / 3628800.0,
                                1.0 / 362880.0,
                                1.0 / 40320.0,
                                1.0 / 5040.0,
                                1.0 / 720.0,
                                1.0 / 120.0,
                                1.0 / 24.0,
                                1.0 / 6.0,
                                0.5,
                                1.0,
                                1.0};
  const D4 shift = Fill4(0x1.8p52);
  const D4 z = Fma(x, Fill4(0x1.71547652b82fep0), shift);
  const D4 n = z - shift;
  // ln 2 in two parts; the first has 32 bits, so that n times it is exact.
  const D4 b = Fma(n, Fill4(-0x1.a39ef35793c76p-33), Fma(n, Fill4(-0x1.62e42fee00000p-1), x));
  D4 sum = Fill4(kSeries[0]);
  for (int i = 1; i < 14; ++i) sum = Fma(sum, b, Fill4(kSeries[i]));
  const WrappingL4 power = (reinterpret_cast<WrappingL4>(z) << 52) + 0x3ff0000000000000u;
  D4 result = sum * reinterpret_cast<D4>(power);
  result = Select(x > Fill4(709.0), Fill4(__builtin_inf()), result);
  return Select(x < Fill4(-708.0), Fill4(0.0), result);
}

PARITY_INLINE D8 Exp(D8 x) { return {Exp(x.lo), Exp(x.hi)}; }

}  // namespace parity::kernels::PARITY_LANES

#endif  // PARITY_KERNELS_CPU_EXP_H_
