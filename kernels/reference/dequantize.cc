#include "kernels/reference/dequantize.h"

#include <glog/logging.h>

#include <bit>
#include <cstring>

#include "kernels/half.h"

namespace parity::kernels {
namespace {

float Half(const uint8_t* at) {
  uint16_t half;
  std::memcpy(&half, at, sizeof(half));
  return HalfToFloat(half);
}

void F32(const uint8_t* b, float* y) { std::memcpy(y, b, sizeof(float)); }
void F16(const uint8_t* b, float* y) { *y = Half(b); }

void Bf16(const uint8_t* b, float* y) {
  uint16_t bits;
  std::memcpy(&bits, b, sizeof(bits));
  *y = Bf16ToFloat(bits);
}

// d, 16 bytes of nibbles: low ones are values 0..15, high ones 16..31.
void Q4_0(const uint8_t* b, float* y) {
  const float d = Half(b);
  for (int j = 0; j < 16; ++j) {
    y[j] = d * static_cast<float>((b[2 + j] & 15) - 8);
    y[j + 16] = d * static_cast<float>((b[2 + j] >> 4) - 8);
  }
}

// d, m, nibbles.
void Q4_1(const uint8_t* b, float* y) {
  const float d = Half(b);
  const float m = Half(b + 2);
  for (int j = 0; j < 16; ++j) {
    y[j] = d * static_cast<float>(b[4 + j] & 15) + m;
    y[j + 16] = d * static_cast<float>(b[4 + j] >> 4) + m;
  }
}

// The j-th value of 32 that have four bits in `nibbles` and the fifth in `high`.
int FiveBits(const uint8_t* high, const uint8_t* nibbles, int j) {
  uint32_t bits;
  std::memcpy(&bits, high, sizeof(bits));
  const int low = j < 16 ? nibbles[j] & 15 : nibbles[j - 16] >> 4;
  return low | static_cast<int>(bits >> j & 1) << 4;
}

// d, fifth bits, nibbles.
void Q5_0(const uint8_t* b, float* y) {
  const float d = Half(b);
  for (int j = 0; j < 32; ++j) y[j] = d * static_cast<float>(FiveBits(b + 2, b + 6, j) - 16);
}

// d, m, fifth bits, nibbles.
void Q5_1(const uint8_t* b, float* y) {
  const float d = Half(b);
  const float m = Half(b + 2);
  for (int j = 0; j < 32; ++j) y[j] = d * static_cast<float>(FiveBits(b + 4, b + 8, j)) + m;
}

void Q8_0(const uint8_t* b, float* y) {
  const float d = Half(b);
  for (int j = 0; j < 32; ++j) y[j] = d * static_cast<float>(static_cast<int8_t>(b[2 + j]));
}

// 16 sub-blocks of 16: scales (low nibble scale, high nibble minimum), 2-bit values, d, dmin.
void Q2_K(const uint8_t* b, float* y) {
  const uint8_t* qs = b + 16;
  const float d = Half(b + 80);
  const float dmin = Half(b + 82);
  for (int i = 0; i < 256; ++i) {
    const uint8_t scale = b[i / 16];
    const int q = qs[i / 128 * 32 + i % 32] >> (2 * (i % 128 / 32)) & 3;
    y[i] = d * static_cast<float>(scale & 15) * static_cast<float>(q) -
           dmin * static_cast<float>(scale >> 4);
  }
}

// hmask, 2-bit values, 16 six-bit scales in 12 bytes, d.
void Q3_K(const uint8_t* b, float* y) {
  const uint8_t* qs = b + 32;
  const uint8_t* scales = b + 96;
  const float d = Half(b + 108);
  for (int i = 0; i < 256; ++i) {
    const int sub = i / 16;
    const int low = sub < 8 ? scales[sub] & 15 : scales[sub - 8] >> 4;
    const int scale = (low | (scales[8 + sub % 4] >> (2 * (sub / 4)) & 3) << 4) - 32;
    const int q = qs[i / 128 * 32 + i % 32] >> (2 * (i % 128 / 32)) & 3;
    const bool set = (b[i % 32] >> (i / 32) & 1) != 0;
    y[i] = d * static_cast<float>(scale) * static_cast<float>(q - (set ? 0 : 4));
  }
}

// The six-bit scale and minimum of sub-block i of Q4_K and Q5_K.
void ScaleAndMin(const uint8_t* s, int i, int* scale, int* min) {
  if (i < 4) {
    *scale = s[i] & 63;
    *min = s[i + 4] & 63;
  } else {
    *scale = (s[i + 4] & 15) | (s[i - 4] >> 6) << 4;
    *min = (s[i + 4] >> 4) | (s[i] >> 6) << 4;
  }
}

// d, dmin, scales, [fifth bits,] nibbles: sub-blocks of 32, two to 32 bytes.
void KQuant(const uint8_t* b, const uint8_t* high, const uint8_t* qs, float* y) {
  const float d = Half(b);
  const float dmin = Half(b + 2);
  for (int i = 0; i < 256; ++i) {
    const int sub = i / 32;
    int scale, min;
    ScaleAndMin(b + 4, sub, &scale, &min);
    const uint8_t byte = qs[i / 64 * 32 + i % 32];
    int q = sub % 2 == 0 ? byte & 15 : byte >> 4;
    if (high != nullptr) q += (high[i % 32] >> sub & 1) << 4;
    y[i] = d * static_cast<float>(scale) * static_cast<float>(q) - dmin * static_cast<float>(min);
  }
}

void Q4_K(const uint8_t* b, float* y) { KQuant(b, nullptr, b + 16, y); }
void Q5_K(const uint8_t* b, float* y) { KQuant(b, b + 16, b + 48, y); }

// ql, qh, 16 signed scales, d.
void Q6_K(const uint8_t* b, float* y) {
  const float d = Half(b + 208);
  for (int i = 0; i < 256; ++i) {
    const int half = i / 128;
    const int quarter = i % 128 / 32;
    const int l = i % 32;
    const uint8_t low = b[64 * half + 32 * (quarter % 2) + l];
    const uint8_t high = b[128 + 32 * half + l];
    const int q = (quarter < 2 ? low & 15 : low >> 4) | (high >> (2 * quarter) & 3) << 4;
    const auto scale = static_cast<int8_t>(b[192 + i / 16]);
    y[i] = d * static_cast<float>(scale) * static_cast<float>(q - 32);
  }
}

void Lookup(const int8_t* table, float d, const uint8_t* qs, float* y) {
  for (int j = 0; j < 16; ++j) {
    y[j] = d * static_cast<float>(table[qs[j] & 15]);
    y[j + 16] = d * static_cast<float>(table[qs[j] >> 4]);
  }
}

void Iq4Nl(const uint8_t* b, float* y) {
  constexpr int8_t kTable[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                 1,    13,   25,  38,  53,  69,  89,  113};
  Lookup(kTable, Half(b), b + 2, y);
}

// An exponent byte (2^(e - 128): the table holds doubled values), nibbles.
void Mxfp4(const uint8_t* b, float* y) {
  constexpr int8_t kTable[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};
  const uint32_t bits = b[0] < 2 ? 0x200000u << b[0] : static_cast<uint32_t>(b[0] - 1) << 23;
  Lookup(kTable, std::bit_cast<float>(bits), b + 1, y);
}

using Block = void (*)(const uint8_t*, float*);

Block BlockOf(DType dtype) {
  switch (dtype) {
    case DType::kF32:
      return F32;
    case DType::kF16:
      return F16;
    case DType::kBF16:
      return Bf16;
    case DType::kQ4_0:
      return Q4_0;
    case DType::kQ4_1:
      return Q4_1;
    case DType::kQ5_0:
      return Q5_0;
    case DType::kQ5_1:
      return Q5_1;
    case DType::kQ8_0:
      return Q8_0;
    case DType::kQ2_K:
      return Q2_K;
    case DType::kQ3_K:
      return Q3_K;
    case DType::kQ4_K:
      return Q4_K;
    case DType::kQ5_K:
      return Q5_K;
    case DType::kQ6_K:
      return Q6_K;
    case DType::kIQ4_NL:
      return Iq4Nl;
    case DType::kMXFP4:
      return Mxfp4;
  }
  return nullptr;
}

}  // namespace

void Dequantize(DType dtype, const uint8_t* bytes, int64_t elements, float* out) {
  const DTypeTraits& traits = Traits(dtype);
  CHECK_EQ(elements % traits.block_elements, 0) << traits.name;
  const Block block = BlockOf(dtype);
  for (int64_t i = 0; i < elements; i += traits.block_elements, bytes += traits.block_bytes) {
    block(bytes, out + i);
  }
}

}  // namespace parity::kernels
