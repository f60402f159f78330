#include "kernels/cpu/weight_planes.h"

#include <cstring>

namespace parity::kernels {
namespace {

constexpr uint32_t kLowNibbles = 0x0f0f0f0f;
constexpr uint32_t kLowPairs = 0x03030303;
constexpr uint32_t kLowBits = 0x01010101;

uint16_t Load16(const uint8_t* p) {
  uint16_t bits;
  std::memcpy(&bits, p, sizeof(bits));
  return bits;
}

uint32_t Load32(const uint8_t* p) {
  uint32_t word;
  std::memcpy(&word, p, sizeof(word));
  return word;
}

// Swaps the bits of x under `mask` with those `shift` places higher.
uint32_t SwapBits(uint32_t x, uint32_t mask, int shift) {
  const uint32_t differ = (x ^ (x >> shift)) & mask;
  return x ^ differ ^ (differ << shift);
}

// Bit 4c + i becomes bit 8i + c: the five bits of a place, c2 c1 c0 i1 i0, become i1 i0 c2 c1 c0 by
// exchanging two of them at a time.
uint32_t ColumnsToChunks(uint32_t x) {
  x = SwapBits(x, 0x22222222, 1);   // c2 c1 c0 i0 i1
  x = SwapBits(x, 0x0a0a0a0a, 3);   // c2 c1 i1 i0 c0
  x = SwapBits(x, 0x00cc00cc, 6);   // c2 i0 i1 c1 c0
  x = SwapBits(x, 0x0000f0f0, 12);  // i1 i0 c2 c1 c0
  return x;
}

// Q5_0's and Q5_1's values: the fifth bits as one word by columns, nibbles as the planes want them.
void TakeFiveBits(const uint8_t* high, uint32_t* words) {
  std::memcpy(words, high + 4, 16);
  words[4] = ColumnsToChunks(Load32(high));
}

// Bits [shift, shift + 2) of 32 bytes, as the pairs' two lines.
void TakePairs(const uint8_t* bytes, int shift, uint32_t* words) {
  for (int line = 0; line < 2; ++line) {
    uint32_t word = 0;
    for (int k = 0; k < 4; ++k) {
      word |= ((Load32(bytes + 16 * line + 4 * k) >> shift) & kLowPairs) << (2 * k);
    }
    words[line] = word;
  }
}

// Bit `shift` of 32 bytes, as the single bits' line.
uint32_t SingleBits(const uint8_t* bytes, int shift) {
  uint32_t word = 0;
  for (int c = 0; c < 8; ++c) word |= ((Load32(bytes + 4 * c) >> shift) & kLowBits) << c;
  return word;
}

// One half of 32 bytes of nibbles, 32 columns in all, as the nibbles' four lines.
void TakeLowNibbles(const uint8_t* bytes, uint32_t* words) {
  for (int j = 0; j < 4; ++j) {
    const uint32_t first = Load32(bytes + 4 * j), second = Load32(bytes + 16 + 4 * j);
    words[j] = (first & kLowNibbles) | (second & kLowNibbles) << 4;
  }
}

void TakeHighNibbles(const uint8_t* bytes, uint32_t* words) {
  for (int j = 0; j < 4; ++j) {
    const uint32_t first = Load32(bytes + 4 * j), second = Load32(bytes + 16 + 4 * j);
    words[j] = ((first >> 4) & kLowNibbles) | (second & ~kLowNibbles);
  }
}

// The six-bit scales and minima of Q4_K and Q5_K, four to a word.
void TakeScales(const uint8_t* packed, int8_t* scales, int8_t* minima) {
  const uint32_t a = Load32(packed), b = Load32(packed + 4), c = Load32(packed + 8);
  const uint32_t s[2] = {a & 0x3f3f3f3f, (c & kLowNibbles) | ((a >> 6) & kLowPairs) << 4};
  const uint32_t m[2] = {b & 0x3f3f3f3f, ((c >> 4) & kLowNibbles) | ((b >> 6) & kLowPairs) << 4};
  std::memcpy(scales, s, sizeof(s));
  std::memcpy(minima, m, sizeof(m));
}

}  // namespace

void TakeApartQ4_0(const uint8_t* block, RowBlock<4, 1, 0>* out) {
  out->d = Load16(block);
  std::memcpy(out->words[0], block + 2, 16);
}

void TakeApartQ4_1(const uint8_t* block, RowBlock<4, 1, 0>* out) {
  out->d = Load16(block);
  out->dmin = Load16(block + 2);
  std::memcpy(out->words[0], block + 4, 16);
}

void TakeApartMxfp4(const uint8_t* block, RowBlock<4, 1, 0>* out) {
  const int exponent = block[0];  // 2^(exponent - 128): the products' values are doubled
  out->d = static_cast<uint16_t>(exponent < 2 ? 0x20 << exponent : (exponent - 1) << 7);
  std::memcpy(out->words[0], block + 1, 16);
}

void TakeApartQ5_0(const uint8_t* block, RowBlock<5, 1, 0>* out) {
  out->d = Load16(block);
  TakeFiveBits(block + 2, out->words[0]);
}

void TakeApartQ5_1(const uint8_t* block, RowBlock<5, 1, 0>* out) {
  out->d = Load16(block);
  out->dmin = Load16(block + 2);
  TakeFiveBits(block + 4, out->words[0]);
}

void TakeApartQ8_0(const uint8_t* block, RowBlock<8, 1, 0>* out) {
  out->d = Load16(block);
  std::memcpy(out->words[0], block + 2, 32);
}

void TakeApartQ2_K(const uint8_t* block, RowBlock<2, 8, 16>* out) {
  out->d = Load16(block + 80);
  out->dmin = Load16(block + 82);
  std::memcpy(out->scales, block, 16);
  for (int u = 0; u < 8; ++u) TakePairs(block + 16 + u / 4 * 32, 2 * (u % 4), out->words[u]);
}

void TakeApartQ3_K(const uint8_t* block, RowBlock<3, 8, 16>* out) {
  out->d = Load16(block + 108);
  const uint32_t a = Load32(block + 96), b = Load32(block + 100), c = Load32(block + 104);
  const uint32_t scales[4] = {(a & kLowNibbles) | (c & kLowPairs) << 4,
                              (b & kLowNibbles) | ((c >> 2) & kLowPairs) << 4,
                              ((a >> 4) & kLowNibbles) | ((c >> 4) & kLowPairs) << 4,
                              ((b >> 4) & kLowNibbles) | ((c >> 6) & kLowPairs) << 4};
  std::memcpy(out->scales, scales, sizeof(scales));
  for (int8_t& scale : out->scales) scale = static_cast<int8_t>(scale - 32);
  for (int u = 0; u < 8; ++u) {
    TakePairs(block + 32 + u / 4 * 32, 2 * (u % 4), out->words[u]);
    out->words[u][2] = SingleBits(block, u);
  }
}

void TakeApartQ4_K(const uint8_t* block, RowBlock<4, 8, 8>* out) {
  out->d = Load16(block);
  out->dmin = Load16(block + 2);
  TakeScales(block + 4, out->scales, out->minima);
  for (int u = 0; u < 8; u += 2) {
    TakeLowNibbles(block + 16 + 16 * u, out->words[u]);
    TakeHighNibbles(block + 16 + 16 * u, out->words[u + 1]);
  }
}

void TakeApartQ5_K(const uint8_t* block, RowBlock<5, 8, 8>* out) {
  out->d = Load16(block);
  out->dmin = Load16(block + 2);
  TakeScales(block + 4, out->scales, out->minima);
  for (int u = 0; u < 8; u += 2) {
    TakeLowNibbles(block + 48 + 16 * u, out->words[u]);
    TakeHighNibbles(block + 48 + 16 * u, out->words[u + 1]);
  }
  for (int u = 0; u < 8; ++u) out->words[u][4] = SingleBits(block + 16, u);
}

void TakeApartQ6_K(const uint8_t* block, RowBlock<6, 8, 16>* out) {
  out->d = Load16(block + 208);
  std::memcpy(out->scales, block + 192, 16);
  for (int half = 0; half < 2; ++half) {
    const uint8_t* low = block + 64 * half;
    TakeLowNibbles(low, out->words[4 * half]);
    TakeLowNibbles(low + 32, out->words[4 * half + 1]);
    TakeHighNibbles(low, out->words[4 * half + 2]);
    TakeHighNibbles(low + 32, out->words[4 * half + 3]);
    for (int k = 0; k < 4; ++k) {
      TakePairs(block + 128 + 32 * half, 2 * k, out->words[4 * half + k] + 4);
    }
  }
}

int CodeAt(const uint32_t* words, int bits, int column) {
  const auto byte = [&](int line, int i) { return words[line] >> (8 * i) & 0xff; };
  const int c = column / 4, i = column % 4;
  if (bits == 8) return static_cast<int8_t>(byte(c, i));
  uint32_t code = 0;
  if (bits >= 4) code = byte(c % 4, i) >> (c < 4 ? 0 : 4) & 15;
  if (bits == 2 || bits == 3 || bits == 6) {
    const int line = bits == 6 ? 4 : 0;
    code |= (byte(line + c / 4, i) >> (2 * (c % 4)) & 3) << line;
  }
  if (bits == 3 || bits == 5) code |= (byte(bits - 1, i) >> c & 1) << (bits - 1);
  return static_cast<int>(code);
}

}  // namespace parity::kernels
