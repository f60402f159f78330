// The K-quants as the products read them: blocks of 256 columns whose sub-blocks have integer
// scales, over an Isa (product_tiles.h, which includes this, says what an Isa is).
//
// A group block is: 16 halves d; 16 halves dmin where there is a minimum; scales, four sub-blocks
// to a line of words; minima alike (Q2_K: in the high halves of the scales' bytes); eight units of
// codes (product_codes.h). Internal linkage, as in product_tiles.h.
#ifndef PARITY_KERNELS_CPU_PRODUCT_SUPER_H_
#define PARITY_KERNELS_CPU_PRODUCT_SUPER_H_

#include <cstdint>

#include "kernels/cpu/activation_block.h"
#include "kernels/cpu/product_codes.h"

namespace parity::kernels {
namespace {

// What a sub-block takes off besides its scaled codes.
enum class Offset {
  kMinimum,   // dmin times a minimum of its own
  kTwoBits,   // the same; scale and minimum share a byte
  kConstant,  // its scale times a constant
};

// `columns` of a sub-block: 16 or 32. zero_bits: log2 of the constant.
template <class Isa, class Packed, int columns, Offset offset, int zero_bits>
struct SuperType {
  using I = typename Isa::I;
  using F = typename Isa::F;
  using Source = Packed;
  using Wide = SuperType<Isa, WideCodes<Isa, Source>, columns, offset, zero_bits>;
  using Activations = ActivationSuperBlock;
  static constexpr bool kIsFloat = false;
  static constexpr bool kMinimum = offset != Offset::kConstant;
  static constexpr int kUnits = 8;
  static constexpr int kScaleLines = 256 / columns / 4;
  static constexpr int kScales = kHalfScales * (kMinimum ? 2 : 1);
  static constexpr int kMinima =
      offset == Offset::kMinimum ? kScales + kScaleLines * kWords : kScales;
  static constexpr int kHeader = kMinima + kScaleLines * kWords;
  static constexpr int kBytes = kHeader + kUnits * Source::kBytes;

  static F Scale(const uint8_t* block, int v) { return Isa::Half(block + 2 * Isa::kLanes * v); }
  static F Minimum(const uint8_t* block, int v) {
    return Isa::Half(block + kHalfScales + 2 * Isa::kLanes * v);
  }

  static const float* Unpack(const uint8_t* block, int u, float* buffer) {
    constexpr int subs = kBlock / columns;
#pragma GCC unroll 16
    for (int v = 0; v < kVectors<Isa>; ++v) {
#pragma GCC unroll 16
      for (int s = 0; s < subs; ++s) {
        const int sub = u * subs + s;
        const F scale = Isa::ToFloat(Isa::ByteAt(ScaleWords(block, v, sub / 4), sub % 4));
        const F both = Isa::Mul(Scale(block, v), scale);  // exact: 11 + 8 bits
        F minimum = Isa::Splat(0);
        if constexpr (kMinimum) {
          const F least = Isa::ToFloat(Isa::ByteAt(MinimumWords(block, v, sub / 4), sub % 4));
          minimum = Isa::Mul(Minimum(block, v), least);  // exact: 11 + 6 bits
        }
#pragma GCC unroll 16
        for (int c = s * columns / 4; c < (s + 1) * columns / 4; ++c) {
          const I words = Source::Chunk(block + kHeader + u * Source::kBytes, v, c);
#pragma GCC unroll 16
          for (int i = 0; i < 4; ++i) {
            const I code = Isa::Subtract(Isa::UnsignedByte(words, i), kZero);
            const F scaled = Isa::Mul(both, Isa::ToFloat(code));
            Isa::Store(buffer + (4 * c + i) * kRows + Isa::kLanes * v,
                       kMinimum ? Isa::Sub(scaled, minimum) : scaled);
          }
        }
      }
    }
    return buffer;
  }

  // Adds unit u: the codes of each sub-block times its scale.
  template <int tokens>
  [[gnu::always_inline]] static void DotUnit(const uint8_t* block, int u,
                                             const int8_t* const (&x)[tokens],
                                             I (&sums)[kVectors<Isa>][tokens]) {
    const uint8_t* unit = block + kHeader + u * Source::kBytes;
    if constexpr (columns == 32) {
      DotSub<tokens, 0>(block, unit, u, x, sums);
    } else {
      DotSub<tokens, 0>(block, unit, 2 * u, x, sums);
      DotSub<tokens, 4>(block, unit, 2 * u + 1, x, sums);
    }
  }

  // sums = the minima times the activations' sums; for a constant, the scales times them.
  template <int tokens>
  [[gnu::always_inline]] static void DotMinima(const uint8_t* block,
                                               const ActivationSuperBlock* const (&x)[tokens],
                                               I (&sums)[kVectors<Isa>][tokens]) {
#pragma GCC unroll 16
    for (int v = 0; v < kVectors<Isa>; ++v) {
#pragma GCC unroll 16
      for (int t = 0; t < tokens; ++t) sums[v][t] = Isa::Zero();
#pragma GCC unroll 16
      for (int line = 0; line < kScaleLines; ++line) {
        const I words = MinimumWords(block, v, line);
#pragma GCC unroll 16
        for (int half = 0; half < 2; ++half) {
          const I minima = Isa::BytePair(words, half);
#pragma GCC unroll 16
          for (int t = 0; t < tokens; ++t) {
            const int16_t* of = columns == 32 ? x[t]->sums32 : x[t]->sums16;
            sums[v][t] =
                Isa::DotPair(sums[v][t], minima, Isa::BroadcastPair(of + 4 * line + 2 * half));
          }
        }
      }
    }
  }

  // Takes the constant off.
  [[gnu::always_inline]] static I WithoutZero(I sum, I scaled_sum) {
    return Isa::SubtractShifted(sum, scaled_sum, zero_bits);
  }

 private:
  static constexpr int kZero = kMinimum ? 0 : 1 << zero_bits;

  [[gnu::always_inline]] static I ScaleWords(const uint8_t* block, int v, int line) {
    const I words = Isa::Load(block + kScales + line * kWords + 4 * Isa::kLanes * v);
    return offset == Offset::kTwoBits ? Isa::LowNibbles(words) : words;
  }
  [[gnu::always_inline]] static I MinimumWords(const uint8_t* block, int v, int line) {
    const I words = Isa::Load(block + kMinima + line * kWords + 4 * Isa::kLanes * v);
    return offset == Offset::kTwoBits ? Isa::HighNibbles(words) : words;
  }

  // One sub-block, whose first chunk in its unit is `first`.
  template <int tokens, int first>
  [[gnu::always_inline]] static void DotSub(const uint8_t* block, const uint8_t* unit, int sub,
                                            const int8_t* const (&x)[tokens],
                                            I (&sums)[kVectors<Isa>][tokens]) {
    constexpr int limit = ChunksOf16Bits<Source>();
    constexpr int run = limit < columns / 4 ? limit : columns / 4;
    I scales[kVectors<Isa>];
#pragma GCC unroll 16
    for (int v = 0; v < kVectors<Isa>; ++v) {
      scales[v] = Isa::ScaleAt(ScaleWords(block, v, sub / 4), sub % 4);
    }
    I small[kVectors<Isa>][tokens];
    DotSmall<Isa, Source, tokens, first, run>(unit, x, small);
    AddScaled<tokens>(small, scales, sums);
    if constexpr (run < columns / 4) {
      static_assert(2 * run == columns / 4);
      DotSmall<Isa, Source, tokens, first + run, run>(unit, x, small);
      AddScaled<tokens>(small, scales, sums);
    }
  }

  template <int tokens>
  [[gnu::always_inline]] static void AddScaled(const I (&small)[kVectors<Isa>][tokens],
                                               const I (&scales)[kVectors<Isa>],
                                               I (&sums)[kVectors<Isa>][tokens]) {
#pragma GCC unroll 16
    for (int v = 0; v < kVectors<Isa>; ++v) {
#pragma GCC unroll 16
      for (int t = 0; t < tokens; ++t) {
        sums[v][t] = Isa::AddScaled(sums[v][t], small[v][t], scales[v]);
      }
    }
  }
};

}  // namespace
}  // namespace parity::kernels

#endif  // PARITY_KERNELS_CPU_PRODUCT_SUPER_H_
