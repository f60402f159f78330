// How the packed weights hold their integers: codes of 2 to 6 bits in bit planes, over an Isa
// (product_tiles.h says what an Isa is). weight_planes.h writes what this reads.
//
// 32 columns of 16 rows of b-bit codes are b lines of 64 bytes, a word of four bytes per row and
// line. In what follows column 4c + i is byte i of chunk c, c = 0..7.
//  - nibbles, 4 lines: byte i of line j has column 4j + i in its low and 16 + 4j + i in its high
//    half (as Q4_0's bytes lie in the file);
//  - pairs, 2 lines: byte i of line j has columns 16j + 4k + i in bits 2k, 2k + 1 (k = 0..3);
//  - single bits, 1 line: byte i has column 4c + i in bit c.
// 2 bits: pairs. 3: pairs, then bits 2. 4: nibbles. 5: nibbles, then bits 4. 6: nibbles, then pairs
// as bits 4 and 5. Internal linkage, as in product_tiles.h.
#ifndef PARITY_KERNELS_CPU_PRODUCT_CODES_H_
#define PARITY_KERNELS_CPU_PRODUCT_CODES_H_

#include <cstdint>

namespace parity::kernels {
namespace {

constexpr int kRows = 16;        // of a group
constexpr int kBlock = 32;       // columns of a unit, and of a small block
constexpr int kHalfScales = 32;  // bytes of 16 halves
constexpr int kWords = 64;       // bytes of one line: a word of four bytes of 16 rows

// Shape of a tile's registers for an Isa.
template <class Isa>
constexpr int kVectors = kRows / Isa::kLanes;

// A source of unsigned bytes: Chunk(unit, v, c) is columns 4c..4c+3 of the rows of vector v, each
// at most kMost.
template <class Isa, int bits>
struct Codes {
  using I = typename Isa::I;
  static constexpr int kBytes = bits * kWords;  // of a unit
  static constexpr int kMost = (1 << bits) - 1;
  static constexpr bool kNibbles = bits >= 4;
  static constexpr bool kPairs = bits == 2 || bits == 3 || bits == 6;
  static constexpr bool kSingles = bits == 3 || bits == 5;
  static constexpr int kPairsLine = kNibbles ? 4 : 0;  // and the bits' place in the code
  static constexpr int kSinglesLine = bits - 1;
  static constexpr int kSinglesPlace = bits - 1;

  [[gnu::always_inline]] static I Chunk(const uint8_t* unit, int v, int c) {
    I code = Isa::Zero();
    if constexpr (kNibbles) {
      const I words = Line(unit, v, c % 4);
      code = c < 4 ? Isa::LowNibbles(words) : Isa::HighNibbles(words);
    }
    if constexpr (kPairs) {
      const I pairs =
          Isa::Bits(Line(unit, v, kPairsLine + c / 4), 2 * (c % 4) - kPairsLine, 3 << kPairsLine);
      code = kNibbles ? Isa::Or(code, pairs) : pairs;
    }
    if constexpr (kSingles) {
      code = Isa::Or(code,
                     Isa::Bits(Line(unit, v, kSinglesLine), c - kSinglesPlace, 1 << kSinglesPlace));
    }
    return code;
  }

 private:
  [[gnu::always_inline]] static I Line(const uint8_t* unit, int v, int line) {
    return Isa::Load(unit + line * kWords + 4 * Isa::kLanes * v);
  }
};

// MXFP4's values, doubled, and 12 more: not negative.
template <class Isa>
struct Mxfp4Codes {
  static constexpr int kBytes = 4 * kWords;
  static constexpr int kMost = 24;
  [[gnu::always_inline]] static typename Isa::I Chunk(const uint8_t* unit, int v, int c) {
    alignas(16) static constexpr int8_t kTable[16] = {12, 13, 14, 15, 16, 18, 20, 24,
                                                      12, 11, 10, 9,  8,  6,  4,  0};
    return Isa::Lookup(kTable, Codes<Isa, 4>::Chunk(unit, v, c));
  }
};

// The codes of another source, a byte each: what many rows of activations read (WideTiles).
template <class Isa, class Narrow>
struct WideCodes {
  static constexpr int kBytes = 8 * kWords;
  static constexpr int kMost = Narrow::kMost;
  [[gnu::always_inline]] static typename Isa::I Chunk(const uint8_t* unit, int v, int c) {
    return Isa::Load(unit + c * kWords + 4 * Isa::kLanes * v);
  }
};

// Sources of signed bytes.
template <class Isa>
struct Iq4NlBytes {
  static constexpr int kBytes = 4 * kWords;
  [[gnu::always_inline]] static typename Isa::I Chunk(const uint8_t* unit, int v, int c) {
    alignas(16) static constexpr int8_t kTable[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                                      1,    13,   25,  38,  53,  69,  89,  113};
    return Isa::Lookup(kTable, Codes<Isa, 4>::Chunk(unit, v, c));
  }
};

template <class Isa>
struct Q8Bytes {
  static constexpr int kBytes = 8 * kWords;
  [[gnu::always_inline]] static typename Isa::I Chunk(const uint8_t* unit, int v, int c) {
    return Isa::Load(unit + c * kWords + 4 * Isa::kLanes * v);
  }
};

// Chunks whose products a path may add in 16 bits: a pair of bytes adds at most 2 x kMost x 127. A
// power of two, so that it divides a block.
template <class Source>
constexpr int ChunksOf16Bits() {
  int chunks = 8;
  while (chunks * 2 * Source::kMost * 127 > 32767) chunks /= 2;
  return chunks;
}

// sums = the products of chunks [first, first + count), with what Isa::DotSmall leaves open.
template <class Isa, class Source, int tokens, int first, int count>
[[gnu::always_inline]] inline void DotSmall(const uint8_t* unit, const int8_t* const (&x)[tokens],
                                            typename Isa::I (&sums)[kVectors<Isa>][tokens]) {
#pragma GCC unroll 16
  for (int c = first; c < first + count; ++c) {
    typename Isa::I words[kVectors<Isa>];
#pragma GCC unroll 16
    for (int v = 0; v < kVectors<Isa>; ++v) words[v] = Source::Chunk(unit, v, c);
#pragma GCC unroll 16
    for (int t = 0; t < tokens; ++t) {
      const auto chunk = Isa::Broadcast(x[t] + 4 * c);
#pragma GCC unroll 16
      for (int v = 0; v < kVectors<Isa>; ++v) {
        sums[v][t] = c == first ? Isa::StartSmall(words[v], chunk)
                                : Isa::DotSmall(sums[v][t], words[v], chunk);
      }
    }
  }
}

}  // namespace
}  // namespace parity::kernels

#endif  // PARITY_KERNELS_CPU_PRODUCT_CODES_H_
