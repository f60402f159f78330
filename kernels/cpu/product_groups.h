// The product of a whole group for every type: tiles of as many tokens as an Isa's registers hold.
// Included by exactly one source per SIMD path, as product_tiles.h says. A new type is one more
// case here.
#ifndef PARITY_KERNELS_CPU_PRODUCT_GROUPS_H_
#define PARITY_KERNELS_CPU_PRODUCT_GROUPS_H_

#include <cstdint>
#include <cstring>
#include <type_traits>

#include "kernels/cpu/product.h"
#include "kernels/cpu/product_tiles.h"

namespace parity::kernels {
namespace {

template <class Isa, class Type, bool f32, int tokens>
void Tile(const GroupProduct& p, int64_t token) {
  if constexpr (f32) {
    DoubleTile<Isa, Type, tokens>(p, token);
  } else if constexpr (Type::kIsFloat) {
    FloatTile<Isa, Type, tokens>(p, token);
  } else if constexpr (Type::kUnits > 1) {
    SuperTile<Isa, Type, tokens>(p, token);
  } else {
    QuantizedTile<Isa, Type, tokens>(p, token);
  }
}

template <class Isa, class Type, bool f32>
void Tiles(const GroupProduct& p) {
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

// Tokens from which on widening the weights costs less than taking them apart for every tile.
constexpr int kWidenTokens = 16;
// Their bytes (16 KiB at most) stay in the L1 cache, beside the activations'.
constexpr int kSliceColumns = 512;
constexpr int kFloatSliceColumns = 256;

// A block with the codes a byte each.
template <class Isa, class Type>
void Widen(const uint8_t* block, uint8_t* out) {
  std::memcpy(out, block, Type::kHeader);
  for (int u = 0; u < Type::kUnits; ++u) {
    const uint8_t* unit = block + Type::kHeader + u * Type::Source::kBytes;
    uint8_t* words = out + Type::kHeader + u * Type::Wide::Source::kBytes;
#pragma GCC unroll 16
    for (int c = 0; c < 8; ++c) {
#pragma GCC unroll 16
      for (int v = 0; v < kVectors<Isa>; ++v) {
        Isa::StoreWords(words + c * kWords + 4 * Isa::kLanes * v, Type::Source::Chunk(unit, v, c));
      }
    }
  }
}

// The same sums as Tiles, a slice of `blocks` blocks after the other. widen(block, out) writes a
// block as Wide has it; `activation_bytes` of a row go with a block.
template <class Isa, class Wide, int blocks, int activation_bytes, class WidenBlock>
void Slices(const GroupProduct& p, int block_bytes, WidenBlock widen) {
  alignas(64) uint8_t slice[blocks * Wide::kBytes];
  for (int64_t first = 0; first < p.blocks; first += blocks) {
    GroupProduct part = p;
    part.group = slice;
    part.blocks = p.blocks - first < blocks ? p.blocks - first : blocks;
    part.activations += first * activation_bytes;
    part.continues = first > 0 || p.continues;
    for (int64_t b = 0; b < part.blocks; ++b) {
      widen(p.group + (first + b) * block_bytes, slice + b * Wide::kBytes);
    }
    Tiles<Isa, Wide, false>(part);
  }
}

template <class Isa, class Type>
void WideTiles(const GroupProduct& p) {
  using Wide = typename Type::Wide;
  if constexpr (Type::kIsFloat) {
    Slices<Isa, Wide, kFloatSliceColumns / kBlock, kBlock * sizeof(float)>(
        p, Type::kBytes, [](const uint8_t* block, uint8_t* out) {
          Type::Unpack(block, 0, reinterpret_cast<float*>(out));
        });
  } else {
    Slices<Isa, Wide, kSliceColumns / (Type::kUnits * kBlock), sizeof(typename Type::Activations)>(
        p, Type::kBytes, Widen<Isa, Type>);
  }
}

template <class Isa, class Type, bool f32>
void Group(const GroupProduct& p) {
  if constexpr (Isa::kWidens && !f32) {
    if constexpr (!std::is_same_v<Type, typename Type::Wide>) {
      if (p.tokens >= kWidenTokens) return WideTiles<Isa, Type>(p);
    }
  }
  Tiles<Isa, Type, f32>(p);
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
      return Group<Isa, BlockType<Isa, Codes<Isa, 4>, false, 8>, f32>;
    case DType::kQ4_1:
      return Group<Isa, BlockType<Isa, Codes<Isa, 4>, true, 0>, f32>;
    case DType::kQ5_0:
      return Group<Isa, BlockType<Isa, Codes<Isa, 5>, false, 16>, f32>;
    case DType::kQ5_1:
      return Group<Isa, BlockType<Isa, Codes<Isa, 5>, true, 0>, f32>;
    case DType::kQ8_0:
      return Group<Isa, SignedType<Isa, Q8Bytes<Isa>>, f32>;
    case DType::kIQ4_NL:
      return Group<Isa, SignedType<Isa, Iq4NlBytes<Isa>>, f32>;
    case DType::kMXFP4:
      return Group<Isa, Mxfp4Type<Isa, Mxfp4Codes<Isa>>, f32>;
    case DType::kQ2_K:
      return Group<Isa, SuperType<Isa, Codes<Isa, 2>, 16, Offset::kTwoBits, 0>, f32>;
    case DType::kQ3_K:
      return Group<Isa, SuperType<Isa, Codes<Isa, 3>, 16, Offset::kConstant, 2>, f32>;
    case DType::kQ4_K:
      return Group<Isa, SuperType<Isa, Codes<Isa, 4>, 32, Offset::kMinimum, 0>, f32>;
    case DType::kQ5_K:
      return Group<Isa, SuperType<Isa, Codes<Isa, 5>, 32, Offset::kMinimum, 0>, f32>;
    case DType::kQ6_K:
      return Group<Isa, SuperType<Isa, Codes<Isa, 6>, 16, Offset::kConstant, 5>, f32>;
  }
  return nullptr;
}

template <class Isa>
GroupProductFn Select(DType dtype, Numerics numerics) {
  return numerics == Numerics::kF32 ? SelectType<Isa, true>(dtype) : SelectType<Isa, false>(dtype);
}

}  // namespace
}  // namespace parity::kernels

#endif  // PARITY_KERNELS_CPU_PRODUCT_GROUPS_H_
