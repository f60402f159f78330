// The weight types as the products read them, over an Isa (product_tiles.h, which includes this,
// says what an Isa is).
//
// Each type has kBytes (of a group block), kIsFloat and Unpack (dequantise to [kBlock][16] floats);
// the quantised ones also Dot (integer sums of a block) and kMinimum. A new type is one more of
// these. Internal linkage, as in product_tiles.h.
#ifndef PARITY_KERNELS_CPU_PRODUCT_TYPES_H_
#define PARITY_KERNELS_CPU_PRODUCT_TYPES_H_

#include <cstdint>

#include "kernels/cpu/activation_block.h"

namespace parity::kernels {
namespace {

constexpr int kRows = 16;        // of a group
constexpr int kBlock = 32;       // columns of a block
constexpr int kHalfScales = 32;  // bytes of 16 halves
constexpr int kWords = 64;       // bytes of one chunk of four columns of 16 rows of bytes

// Shape of a tile's registers for an Isa.
template <class Isa>
constexpr int kVectors = kRows / Isa::kLanes;

template <class Isa>
struct F32Type {
  static constexpr int kBytes = kBlock * kRows * 4;
  static constexpr bool kIsFloat = true;
  static const float* Unpack(const uint8_t* block, float* /*buffer*/) {
    return reinterpret_cast<const float*>(block);
  }
};

template <class Isa>
struct F16Type {
  static constexpr int kBytes = kBlock * kRows * 2;
  static constexpr bool kIsFloat = true;
  static const float* Unpack(const uint8_t* block, float* buffer) {
    for (int i = 0; i < kBlock * kRows; i += Isa::kLanes) {
      Isa::Store(buffer + i, Isa::Half(block + 2 * i));
    }
    return buffer;
  }
};

template <class Isa>
struct Bf16Type {
  static constexpr int kBytes = kBlock * kRows * 2;
  static constexpr bool kIsFloat = true;
  static const float* Unpack(const uint8_t* block, float* buffer) {
    for (int i = 0; i < kBlock * kRows; i += Isa::kLanes) {
      Isa::Store(buffer + i, Isa::Bf16(block + 2 * i));
    }
    return buffer;
  }
};

// Q4_0 and Q4_1: byte j of a row's 16 holds column j (low nibble) and column j + 16 (high).
template <class Isa, bool minimum>
struct Q4Type {
  static constexpr bool kIsFloat = false;
  static constexpr bool kMinimum = minimum;
  static constexpr int kHeader = kHalfScales * (minimum ? 2 : 1);
  static constexpr int kBytes = kHeader + 4 * kWords;
  static constexpr int kZero = minimum ? 0 : 8;  // Q4_0 stores value + 8

  static const float* Unpack(const uint8_t* block, float* buffer) {
#pragma GCC unroll 16
    for (int v = 0; v < kVectors<Isa>; ++v) {
      const auto d = Isa::Half(block + 2 * Isa::kLanes * v);
      const auto m = minimum ? Isa::Half(block + kHalfScales + 2 * Isa::kLanes * v) : Isa::Splat(0);
#pragma GCC unroll 16
      for (int c = 0; c < 4; ++c) {
        const auto words = Isa::Load(block + kHeader + c * kWords + 4 * Isa::kLanes * v);
        float* low = buffer + 4 * c * kRows + Isa::kLanes * v;
        UnpackWords(Isa::LowNibbles(words), d, m, low);
        UnpackWords(Isa::HighNibbles(words), d, m, low + 16 * kRows);
      }
    }
    return buffer;
  }

  template <int tokens>
  static void Dot(const uint8_t* block, const ActivationBlock* const* x,
                  typename Isa::I (&sums)[kVectors<Isa>][tokens]) {
#pragma GCC unroll 16
    for (int c = 0; c < 4; ++c) {
      typename Isa::I words[kVectors<Isa>], nibbles[kVectors<Isa>];
#pragma GCC unroll 16
      for (int v = 0; v < kVectors<Isa>; ++v) {
        words[v] = Isa::Load(block + kHeader + c * kWords + 4 * Isa::kLanes * v);
        nibbles[v] = Isa::LowNibbles(words[v]);
      }
      DotWords<tokens>(nibbles, x, 4 * c, sums);
#pragma GCC unroll 16
      for (int v = 0; v < kVectors<Isa>; ++v) nibbles[v] = Isa::HighNibbles(words[v]);
      DotWords<tokens>(nibbles, x, 16 + 4 * c, sums);
    }
#pragma GCC unroll 16
    for (int v = 0; v < kVectors<Isa>; ++v) {
#pragma GCC unroll 16
      for (int t = 0; t < tokens; ++t) {
        sums[v][t] = Isa::FinishSmall(sums[v][t]);
        if (!minimum) sums[v][t] = Isa::Subtract(sums[v][t], kZero * x[t]->sum);
      }
    }
  }

 private:
  // Adds the products of four columns from `column` on.
  template <int tokens>
  static void DotWords(const typename Isa::I (&w)[kVectors<Isa>], const ActivationBlock* const* x,
                       int column, typename Isa::I (&sums)[kVectors<Isa>][tokens]) {
#pragma GCC unroll 16
    for (int t = 0; t < tokens; ++t) {
      const auto chunk = Isa::Broadcast(x[t]->values + column);
#pragma GCC unroll 16
      for (int v = 0; v < kVectors<Isa>; ++v) sums[v][t] = Isa::DotSmall(sums[v][t], w[v], chunk);
    }
  }

  static void UnpackWords(typename Isa::I words, typename Isa::F d, typename Isa::F m, float* out) {
#pragma GCC unroll 16
    for (int i = 0; i < 4; ++i) {
      const auto value = Isa::ToFloat(Isa::Subtract(Isa::UnsignedByte(words, i), kZero));
      const auto scaled = Isa::Mul(d, value);  // exact: 11 + 4 bits
      Isa::Store(out + i * kRows, minimum ? Isa::Add(scaled, m) : scaled);
    }
  }
};

template <class Isa>
struct Q8_0Type {
  static constexpr bool kIsFloat = false;
  static constexpr bool kMinimum = false;
  static constexpr int kBytes = kHalfScales + 8 * kWords;

  static const float* Unpack(const uint8_t* block, float* buffer) {
#pragma GCC unroll 16
    for (int v = 0; v < kVectors<Isa>; ++v) {
      const auto d = Isa::Half(block + 2 * Isa::kLanes * v);
#pragma GCC unroll 16
      for (int c = 0; c < 8; ++c) {
        const auto words = Isa::Load(block + kHalfScales + c * kWords + 4 * Isa::kLanes * v);
#pragma GCC unroll 16
        for (int i = 0; i < 4; ++i) {
          Isa::Store(buffer + (4 * c + i) * kRows + Isa::kLanes * v,
                     Isa::Mul(d, Isa::ToFloat(Isa::SignedByte(words, i))));
        }
      }
    }
    return buffer;
  }

  template <int tokens>
  static void Dot(const uint8_t* block, const ActivationBlock* const* x,
                  typename Isa::I (&sums)[kVectors<Isa>][tokens]) {
#pragma GCC unroll 16
    for (int c = 0; c < 8; ++c) {
#pragma GCC unroll 16
      for (int v = 0; v < kVectors<Isa>; ++v) {
        const auto words = Isa::Load(block + kHalfScales + c * kWords + 4 * Isa::kLanes * v);
#pragma GCC unroll 16
        for (int t = 0; t < tokens; ++t) {
          sums[v][t] = Isa::DotSigned(sums[v][t], words, Isa::Broadcast(x[t]->values + 4 * c));
        }
      }
    }
#pragma GCC unroll 16
    for (int v = 0; v < kVectors<Isa>; ++v) {
#pragma GCC unroll 16
      for (int t = 0; t < tokens; ++t) sums[v][t] = Isa::FinishSigned(sums[v][t], x[t]->sum);
    }
  }
};

}  // namespace
}  // namespace parity::kernels

#endif  // PARITY_KERNELS_CPU_PRODUCT_TYPES_H_
