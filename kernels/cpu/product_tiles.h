// The products of every type, written once over an Isa. Included by exactly one source per SIMD
// path, so that everything here has internal linkage and is compiled for that path only.
//
// An Isa gives kLanes output rows per vector and these types: I (kLanes words of four bytes), F
// (kLanes floats), D (kLanes doubles), with the operations used below. The order of every sum is
// fixed here, so it cannot differ between paths:
//  - quantised types: total = fma(d_w * d_x, float(integer sum of a block), total), then for types
//  with a minimum
//    total = fma(m_w, s_x, total), blocks in rising order;
//  - float types: sum = fma(w, x, sum) over the 32 columns of a block, then total = total + sum,
//  blocks in rising order;
//  - f32 numerics: total = fma(double(w), double(x), total) in double over all columns in rising
//  order.
#ifndef PARITY_KERNELS_CPU_PRODUCT_TILES_H_
#define PARITY_KERNELS_CPU_PRODUCT_TILES_H_

#include <cstdint>

#include "kernels/cpu/activation_block.h"
#include "kernels/cpu/product.h"
#include "kernels/cpu/product_types.h"

namespace parity::kernels {
namespace {

// --- Tiles: one group against `tokens` activation rows, totals in registers.

template <class Isa, int tokens>
void StoreTile(const GroupProduct& p, int64_t token,
               const typename Isa::F (&totals)[kVectors<Isa>][tokens]) {
#pragma GCC unroll 16
  for (int t = 0; t < tokens; ++t) {
    float* out = p.out + (token + t) * p.out_stride;
    alignas(64) float row[kRows];
    float* target = p.out_rows == kRows ? out : row;
#pragma GCC unroll 16
    for (int v = 0; v < kVectors<Isa>; ++v) Isa::Store(target + Isa::kLanes * v, totals[v][t]);
    if (target == row) {
      for (int r = 0; r < p.out_rows; ++r) out[r] = row[r];
    }
  }
}

// A few tokens stream every weight once, faster than the hardware's own prefetching runs ahead.
constexpr int kPrefetchAhead = 2048;  // bytes; the next group follows this one in memory

template <int bytes>
void Prefetch(const uint8_t* block) {
#pragma GCC unroll 16
  for (int i = 0; i < bytes; i += 64) __builtin_prefetch(block + kPrefetchAhead + i);
}

template <class Isa, class Type, int tokens>
void QuantizedTile(const GroupProduct& p, int64_t token) {
  using I = typename Isa::I;
  using F = typename Isa::F;
  constexpr int vectors = kVectors<Isa>;
  F totals[vectors][tokens];
  const ActivationBlock* x[tokens];
#pragma GCC unroll 16
  for (int t = 0; t < tokens; ++t) {
#pragma GCC unroll 16
    for (int v = 0; v < vectors; ++v) totals[v][t] = Isa::Splat(0);
    x[t] =
        reinterpret_cast<const ActivationBlock*>(p.activations + (token + t) * p.activation_stride);
  }
  const uint8_t* block = p.group;
  for (int64_t b = 0; b < p.blocks; ++b, block += Type::kBytes) {
    if constexpr (tokens <= 4) Prefetch<Type::kBytes>(block);
    I sums[vectors][tokens];
#pragma GCC unroll 16
    for (int v = 0; v < vectors; ++v) {
#pragma GCC unroll 16
      for (int t = 0; t < tokens; ++t) sums[v][t] = Isa::Zero();
    }
    Type::template Dot<tokens>(block, x, sums);
#pragma GCC unroll 16
    for (int v = 0; v < vectors; ++v) {
      const F scale = Isa::Half(block + 2 * Isa::kLanes * v);
#pragma GCC unroll 16
      for (int t = 0; t < tokens; ++t) {
        const F both = Isa::Mul(scale, Isa::Splat(x[t]->scale));
        totals[v][t] = Isa::Fma(both, Isa::ToFloat(sums[v][t]), totals[v][t]);
      }
      if constexpr (Type::kMinimum) {
        const F minimum = Isa::Half(block + kHalfScales + 2 * Isa::kLanes * v);
#pragma GCC unroll 16
        for (int t = 0; t < tokens; ++t) {
          totals[v][t] = Isa::Fma(minimum, Isa::Splat(x[t]->scaled_sum), totals[v][t]);
        }
      }
    }
#pragma GCC unroll 16
    for (int t = 0; t < tokens; ++t) ++x[t];
  }
  StoreTile<Isa, tokens>(p, token, totals);
}

template <class Isa, class Type, int tokens>
void FloatTile(const GroupProduct& p, int64_t token) {
  using F = typename Isa::F;
  constexpr int vectors = kVectors<Isa>;
  F totals[vectors][tokens];
  const float* x[tokens];
#pragma GCC unroll 16
  for (int t = 0; t < tokens; ++t) {
#pragma GCC unroll 16
    for (int v = 0; v < vectors; ++v) totals[v][t] = Isa::Splat(0);
    x[t] = reinterpret_cast<const float*>(p.activations + (token + t) * p.activation_stride);
  }
  alignas(64) float buffer[kBlock * kRows];
  for (int64_t b = 0; b < p.blocks; ++b) {
    const float* w = Type::Unpack(p.group + b * Type::kBytes, buffer);
    F sums[vectors][tokens];
#pragma GCC unroll 16
    for (int v = 0; v < vectors; ++v) {
#pragma GCC unroll 16
      for (int t = 0; t < tokens; ++t) sums[v][t] = Isa::Splat(0);
    }
#pragma GCC unroll 4
    for (int k = 0; k < kBlock; ++k) {
#pragma GCC unroll 16
      for (int v = 0; v < vectors; ++v) {
        const F weights = Isa::LoadFloat(w + k * kRows + Isa::kLanes * v);
#pragma GCC unroll 16
        for (int t = 0; t < tokens; ++t) {
          sums[v][t] = Isa::Fma(weights, Isa::Splat(x[t][k]), sums[v][t]);
        }
      }
    }
#pragma GCC unroll 16
    for (int t = 0; t < tokens; ++t) {
#pragma GCC unroll 16
      for (int v = 0; v < vectors; ++v) totals[v][t] = Isa::Add(totals[v][t], sums[v][t]);
      x[t] += kBlock;
    }
  }
  StoreTile<Isa, tokens>(p, token, totals);
}

template <class Isa, class Type, int tokens>
void DoubleTile(const GroupProduct& p, int64_t token) {
  using D = typename Isa::D;
  constexpr int vectors = kVectors<Isa>;
  D totals[vectors][tokens];
  const float* x[tokens];
#pragma GCC unroll 16
  for (int t = 0; t < tokens; ++t) {
#pragma GCC unroll 16
    for (int v = 0; v < vectors; ++v) totals[v][t] = Isa::ZeroDouble();
    x[t] = reinterpret_cast<const float*>(p.activations + (token + t) * p.activation_stride);
  }
  alignas(64) float buffer[kBlock * kRows];
  for (int64_t b = 0; b < p.blocks; ++b) {
    const float* w = Type::Unpack(p.group + b * Type::kBytes, buffer);
#pragma GCC unroll 4
    for (int k = 0; k < kBlock; ++k) {
#pragma GCC unroll 16
      for (int v = 0; v < vectors; ++v) {
        const D weights = Isa::ToDouble(Isa::LoadFloat(w + k * kRows + Isa::kLanes * v));
#pragma GCC unroll 16
        for (int t = 0; t < tokens; ++t) {
          totals[v][t] = Isa::FmaDouble(weights, x[t][k], totals[v][t]);
        }
      }
    }
#pragma GCC unroll 16
    for (int t = 0; t < tokens; ++t) x[t] += kBlock;
  }
  typename Isa::F rounded[vectors][tokens];
#pragma GCC unroll 16
  for (int v = 0; v < vectors; ++v) {
#pragma GCC unroll 16
    for (int t = 0; t < tokens; ++t) rounded[v][t] = Isa::Rounded(totals[v][t]);
  }
  StoreTile<Isa, tokens>(p, token, rounded);
}

// --- Whole groups.

template <class Isa, class Type, bool f32, int tokens>
void Tile(const GroupProduct& p, int64_t token) {
  if constexpr (f32) {
    DoubleTile<Isa, Type, tokens>(p, token);
  } else if constexpr (Type::kIsFloat) {
    FloatTile<Isa, Type, tokens>(p, token);
  } else {
    QuantizedTile<Isa, Type, tokens>(p, token);
  }
}

template <class Isa, class Type, bool f32>
void Group(const GroupProduct& p) {
  constexpr int full = f32 ? Isa::kDoubleTokens : Isa::kTokens;
  int64_t token = 0;
  for (; token + full <= p.tokens; token += full) Tile<Isa, Type, f32, full>(p, token);
  if constexpr (full > 4) {
    for (; token + 4 <= p.tokens; token += 4) Tile<Isa, Type, f32, 4>(p, token);
  }
  if constexpr (full > 2) {
    for (; token + 2 <= p.tokens; token += 2) Tile<Isa, Type, f32, 2>(p, token);
  }
  for (; token < p.tokens; ++token) Tile<Isa, Type, f32, 1>(p, token);
}

template <class Isa, bool f32>
GroupProductFn SelectType(DType dtype) {
  switch (dtype) {
    case DType::kF32:
      return Group<Isa, F32Type<Isa>, f32>;
    case DType::kF16:
      return Group<Isa, F16Type<Isa>, f32>;
    case DType::kBF16:
      return Group<Isa, Bf16Type<Isa>, f32>;
    case DType::kQ4_0:
      return Group<Isa, Q4Type<Isa, false>, f32>;
    case DType::kQ4_1:
      return Group<Isa, Q4Type<Isa, true>, f32>;
    case DType::kQ8_0:
      return Group<Isa, Q8_0Type<Isa>, f32>;
    default:
      return nullptr;
  }
}

template <class Isa>
GroupProductFn Select(DType dtype, Numerics numerics) {
  return numerics == Numerics::kF32 ? SelectType<Isa, true>(dtype) : SelectType<Isa, false>(dtype);
}

}  // namespace
}  // namespace parity::kernels

#endif  // PARITY_KERNELS_CPU_PRODUCT_TILES_H_
