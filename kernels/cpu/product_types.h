// The weight types as the products read them, over an Isa (product_tiles.h, which includes this,
// says what an Isa is).
//
// Each type has kBytes (of a group block), kUnits (of 32 columns, in a block), kIsFloat and Unpack
// (dequantise unit u to [kBlock][16] floats, each the float that ggml's dequantisation gives), and
// Wide, what many rows of activations read in its place (product_groups.h). The
// types of 32 columns also have Dot (integer sums of a block), Scale and kMinimum; those of 256
// stand in product_super.h. Internal linkage, as in product_tiles.h.
#ifndef PARITY_KERNELS_CPU_PRODUCT_TYPES_H_
#define PARITY_KERNELS_CPU_PRODUCT_TYPES_H_

#include <cstdint>

#include "kernels/cpu/activation_block.h"
#include "kernels/cpu/product_codes.h"

namespace parity::kernels {
namespace {

template <class Isa>
struct F32Type {
  using Wide = F32Type;
  static constexpr int kBytes = kBlock * kRows * 4;
  static constexpr int kUnits = 1;
  static constexpr bool kIsFloat = true;
  static const float* Unpack(const uint8_t* block, int /*u*/, float* /*buffer*/) {
    return reinterpret_cast<const float*>(block);
  }
};

template <class Isa>
struct F16Type {
  using Wide = F32Type<Isa>;
  static constexpr int kBytes = kBlock * kRows * 2;
  static constexpr int kUnits = 1;
  static constexpr bool kIsFloat = true;
  static const float* Unpack(const uint8_t* block, int /*u*/, float* buffer) {
    for (int i = 0; i < kBlock * kRows; i += Isa::kLanes) {
      Isa::Store(buffer + i, Isa::Half(block + 2 * i));
    }
    return buffer;
  }
};

template <class Isa>
struct Bf16Type {
  using Wide = F32Type<Isa>;
  static constexpr int kBytes = kBlock * kRows * 2;
  static constexpr int kUnits = 1;
  static constexpr bool kIsFloat = true;
  static const float* Unpack(const uint8_t* block, int /*u*/, float* buffer) {
    for (int i = 0; i < kBlock * kRows; i += Isa::kLanes) {
      Isa::Store(buffer + i, Isa::Bf16(block + 2 * i));
    }
    return buffer;
  }
};

// Blocks of 32 unsigned codes from which kZero is taken, or to which a minimum is added: 16
// scales, 16 minima where there are, codes.
template <class Isa, class Packed, bool minimum, int kZero>
struct BlockType {
  using Source = Packed;
  using Wide = BlockType<Isa, WideCodes<Isa, Source>, minimum, kZero>;
  using Activations = ActivationBlock;
  static constexpr bool kIsFloat = false;
  static constexpr bool kMinimum = minimum;
  static constexpr int kUnits = 1;
  static constexpr int kHeader = kHalfScales * (minimum ? 2 : 1);
  static constexpr int kBytes = kHeader + Source::kBytes;

  static typename Isa::F Scale(const uint8_t* block, int v) {
    return Isa::Half(block + 2 * Isa::kLanes * v);
  }
  static typename Isa::F Minimum(const uint8_t* block, int v) {
    return Isa::Half(block + kHalfScales + 2 * Isa::kLanes * v);
  }

  template <class Derived>
  static const float* UnpackAs(const uint8_t* block, float* buffer) {
#pragma GCC unroll 16
    for (int v = 0; v < kVectors<Isa>; ++v) {
      const auto d = Derived::Scale(block, v);
#pragma GCC unroll 16
      for (int c = 0; c < 8; ++c) {
        const auto words = Source::Chunk(block + kHeader, v, c);
#pragma GCC unroll 16
        for (int i = 0; i < 4; ++i) {
          const auto value = Isa::ToFloat(Isa::Subtract(Isa::UnsignedByte(words, i), kZero));
          const auto scaled = Isa::Mul(d, value);  // exact: 11 + 5 bits
          Isa::Store(buffer + (4 * c + i) * kRows + Isa::kLanes * v,
                     minimum ? Isa::Add(scaled, Minimum(block, v)) : scaled);
        }
      }
    }
    return buffer;
  }
  static const float* Unpack(const uint8_t* block, int /*u*/, float* buffer) {
    return UnpackAs<BlockType>(block, buffer);
  }

  template <int tokens>
  [[gnu::always_inline]] static void Dot(const uint8_t* block,
                                         const ActivationBlock* const (&x)[tokens],
                                         typename Isa::I (&sums)[kVectors<Isa>][tokens]) {
    constexpr int run = ChunksOf16Bits<Source>();
    static_assert(run == 8 || run == 4);
    const int8_t* values[tokens];
#pragma GCC unroll 16
    for (int t = 0; t < tokens; ++t) values[t] = x[t]->values;
    typename Isa::I small[kVectors<Isa>][tokens];
    DotSmall<Isa, Source, tokens, 0, run>(block + kHeader, values, small);
#pragma GCC unroll 16
    for (int v = 0; v < kVectors<Isa>; ++v) {
#pragma GCC unroll 16
      for (int t = 0; t < tokens; ++t) sums[v][t] = Isa::FinishSmall(small[v][t]);
    }
    if constexpr (run == 4) {
      DotSmall<Isa, Source, tokens, 4, run>(block + kHeader, values, small);
#pragma GCC unroll 16
      for (int v = 0; v < kVectors<Isa>; ++v) {
#pragma GCC unroll 16
        for (int t = 0; t < tokens; ++t) {
          sums[v][t] = Isa::Plus(sums[v][t], Isa::FinishSmall(small[v][t]));
        }
      }
    }
    if constexpr (kZero != 0) {
#pragma GCC unroll 16
      for (int t = 0; t < tokens; ++t) {
        const int32_t offset = kZero * x[t]->sum;
#pragma GCC unroll 16
        for (int v = 0; v < kVectors<Isa>; ++v) sums[v][t] = Isa::Subtract(sums[v][t], offset);
      }
    }
  }
};

// MXFP4: the scales are powers of two in bfloat16, which holds all 256 of them.
template <class Isa, class Packed>
struct Mxfp4Type : BlockType<Isa, Packed, false, 12> {
  using Wide = Mxfp4Type<Isa, WideCodes<Isa, Packed>>;
  static typename Isa::F Scale(const uint8_t* block, int v) {
    return Isa::Bf16(block + 2 * Isa::kLanes * v);
  }
  static const float* Unpack(const uint8_t* block, int /*u*/, float* buffer) {
    return Mxfp4Type::template UnpackAs<Mxfp4Type>(block, buffer);
  }
};

// Blocks of 32 signed bytes: 16 scales, values.
template <class Isa, class Packed>
struct SignedType {
  using Source = Packed;
  using Wide = SignedType<Isa, Q8Bytes<Isa>>;
  using Activations = ActivationBlock;
  static constexpr bool kIsFloat = false;
  static constexpr bool kMinimum = false;
  static constexpr int kUnits = 1;
  static constexpr int kHeader = kHalfScales;
  static constexpr int kBytes = kHeader + Source::kBytes;

  static typename Isa::F Scale(const uint8_t* block, int v) {
    return Isa::Half(block + 2 * Isa::kLanes * v);
  }

  static const float* Unpack(const uint8_t* block, int /*u*/, float* buffer) {
#pragma GCC unroll 16
    for (int v = 0; v < kVectors<Isa>; ++v) {
      const auto d = Scale(block, v);
#pragma GCC unroll 16
      for (int c = 0; c < 8; ++c) {
        const auto words = Source::Chunk(block + kHeader, v, c);
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
  [[gnu::always_inline]] static void Dot(const uint8_t* block,
                                         const ActivationBlock* const (&x)[tokens],
                                         typename Isa::I (&sums)[kVectors<Isa>][tokens]) {
#pragma GCC unroll 16
    for (int c = 0; c < 8; ++c) {
#pragma GCC unroll 16
      for (int v = 0; v < kVectors<Isa>; ++v) {
        const auto words = Source::Chunk(block + kHeader, v, c);
#pragma GCC unroll 16
        for (int t = 0; t < tokens; ++t) {
          const auto chunk = Isa::Broadcast(x[t]->values + 4 * c);
          sums[v][t] = Isa::DotSigned(c == 0 ? Isa::Zero() : sums[v][t], words, chunk);
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
