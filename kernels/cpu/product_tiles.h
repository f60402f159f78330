// The products of every type, written once over an Isa. Included by exactly one source per SIMD
// path, so that everything here has internal linkage and is compiled for that path only.
//
// An Isa gives kLanes output rows per vector and these types: I (kLanes words of four bytes), F
// (kLanes floats), D (kLanes doubles), with the operations used below. The order of every sum is
// fixed here, so it cannot differ between paths:
//  - quantised types of 32 columns: total = fma(d_w * d_x, float(integer sum of a block), total),
//  then for types with a minimum total = fma(m_w, s_x, total), blocks in rising order;
//  - K-quants: total = fma(d_w * d_x, float(integer sum of 256 columns), total), then for types
//  with a minimum total = fma(-(dmin_w * d_x), float(integer sum of the minima), total);
//  - float types: sum = fma(w, x, sum) over the 32 columns of a block, then total = total + sum,
//  blocks in rising order;
//  - f32 numerics: total = fma(double(w), double(x), total) in double over all columns in rising
//  order.
#ifndef PARITY_KERNELS_CPU_PRODUCT_TILES_H_
#define PARITY_KERNELS_CPU_PRODUCT_TILES_H_

#include <cstdint>

#include "kernels/cpu/activation_block.h"
#include "kernels/cpu/product.h"
#include "kernels/cpu/product_super.h"
#include "kernels/cpu/product_types.h"

namespace parity::kernels {
namespace {

// --- Tiles: one group against `tokens` activation rows, totals in registers.

// Zeros, or what out holds of the columns before.
template <class Isa, int tokens>
[[gnu::always_inline]] inline void StartTile(const GroupProduct& p, int64_t token,
                                             typename Isa::F (&totals)[kVectors<Isa>][tokens]) {
#pragma GCC unroll 16
  for (int t = 0; t < tokens; ++t) {
    alignas(64) float row[kRows] = {};
    const float* source = row;
    if (p.continues) {
      const float* out = p.out + (token + t) * p.out_stride;
      if (p.out_rows == kRows) {
        source = out;
      } else {
        for (int r = 0; r < p.out_rows; ++r) row[r] = out[r];
      }
    }
#pragma GCC unroll 16
    for (int v = 0; v < kVectors<Isa>; ++v) totals[v][t] = Isa::LoadFloat(source + Isa::kLanes * v);
  }
}

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
[[gnu::always_inline]] inline void Prefetch(const uint8_t* block) {
#pragma GCC unroll 16
  for (int i = 0; i < bytes; i += 64) __builtin_prefetch(block + kPrefetchAhead + i);
}

template <class Isa, class Type, int tokens>
void QuantizedTile(const GroupProduct& p, int64_t token) {
  using I = typename Isa::I;
  using F = typename Isa::F;
  constexpr int vectors = kVectors<Isa>;
  F totals[vectors][tokens];
  StartTile<Isa, tokens>(p, token, totals);
  const ActivationBlock* x[tokens];
#pragma GCC unroll 16
  for (int t = 0; t < tokens; ++t) {
    x[t] =
        reinterpret_cast<const ActivationBlock*>(p.activations + (token + t) * p.activation_stride);
  }
  const uint8_t* block = p.group;
  for (int64_t b = 0; b < p.blocks; ++b, block += Type::kBytes) {
    if constexpr (tokens <= 4) Prefetch<Type::kBytes>(block);
    I sums[vectors][tokens];
    Type::template Dot<tokens>(block, x, sums);
#pragma GCC unroll 16
    for (int v = 0; v < vectors; ++v) {
      const F scale = Type::Scale(block, v);
#pragma GCC unroll 16
      for (int t = 0; t < tokens; ++t) {
        const F both = Isa::Mul(scale, Isa::Splat(x[t]->scale));
        totals[v][t] = Isa::Fma(both, Isa::ToFloat(sums[v][t]), totals[v][t]);
      }
      if constexpr (Type::kMinimum) {
        const F minimum = Type::Minimum(block, v);
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
void SuperTile(const GroupProduct& p, int64_t token) {
  using I = typename Isa::I;
  using F = typename Isa::F;
  constexpr int vectors = kVectors<Isa>;
  F totals[vectors][tokens];
  StartTile<Isa, tokens>(p, token, totals);
  const ActivationSuperBlock* x[tokens];
#pragma GCC unroll 16
  for (int t = 0; t < tokens; ++t) {
    x[t] = reinterpret_cast<const ActivationSuperBlock*>(p.activations +
                                                         (token + t) * p.activation_stride);
  }
  const uint8_t* block = p.group;
  for (int64_t b = 0; b < p.blocks; ++b, block += Type::kBytes) {
    I sums[vectors][tokens], minima[vectors][tokens];
    if constexpr (tokens == 1) Prefetch<Type::kHeader>(block);
    Type::template DotMinima<tokens>(block, x, minima);
    const int8_t* values[tokens];
#pragma GCC unroll 16
    for (int t = 0; t < tokens; ++t) {
      values[t] = x[t]->values;
#pragma GCC unroll 16
      for (int v = 0; v < vectors; ++v) sums[v][t] = Isa::Zero();
    }
#pragma GCC unroll 1
    for (int u = 0; u < Type::kUnits; ++u) {
      if constexpr (tokens == 1) {
        Prefetch<Type::Source::kBytes>(block + Type::kHeader + u * Type::Source::kBytes);
      }
      Type::template DotUnit<tokens>(block, u, values, sums);
#pragma GCC unroll 16
      for (int t = 0; t < tokens; ++t) values[t] += kBlock;
    }
#pragma GCC unroll 16
    for (int v = 0; v < vectors; ++v) {
      const F scale = Type::Scale(block, v);
#pragma GCC unroll 16
      for (int t = 0; t < tokens; ++t) {
        const F both = Isa::Mul(scale, Isa::Splat(x[t]->scale));
        const I sum = Type::kMinimum ? sums[v][t] : Type::WithoutZero(sums[v][t], minima[v][t]);
        totals[v][t] = Isa::Fma(both, Isa::ToFloat(sum), totals[v][t]);
      }
      if constexpr (Type::kMinimum) {
        const F minimum = Type::Minimum(block, v);
#pragma GCC unroll 16
        for (int t = 0; t < tokens; ++t) {
          const F both = Isa::Mul(minimum, Isa::Splat(-x[t]->scale));
          totals[v][t] = Isa::Fma(both, Isa::ToFloat(minima[v][t]), totals[v][t]);
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
  StartTile<Isa, tokens>(p, token, totals);
  const float* x[tokens];
#pragma GCC unroll 16
  for (int t = 0; t < tokens; ++t) {
    x[t] = reinterpret_cast<const float*>(p.activations + (token + t) * p.activation_stride);
  }
  alignas(64) float buffer[kBlock * kRows];
  for (int64_t b = 0; b < p.blocks; ++b) {
    const float* w = Type::Unpack(p.group + b * Type::kBytes, 0, buffer);
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
  for (int64_t u = 0; u < p.blocks * Type::kUnits; ++u) {
    const float* w = Type::Unpack(p.group + u / Type::kUnits * Type::kBytes,
                                  static_cast<int>(u % Type::kUnits), buffer);
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

}  // namespace
}  // namespace parity::kernels

#endif  // PARITY_KERNELS_CPU_PRODUCT_TILES_H_
