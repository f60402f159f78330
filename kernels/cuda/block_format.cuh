// The quantised types, as the products and the dequantisation see them: chunks of 32 weights
//   w[j] = scale[j / 16] * q[j] + offset[j / 16]
// with q as packed signed bytes. A new type is one more Format here, its cut in weight_view.h and
// its lines in weight_access.cuh; the byte layouts are those of kernels/reference/dequantize.cc.
#ifndef PARITY_KERNELS_CUDA_BLOCK_FORMAT_CUH_
#define PARITY_KERNELS_CUDA_BLOCK_FORMAT_CUH_

#include "kernels/cuda/device_code.cuh"
#include "kernels/cuda/weight_view.h"

namespace parity::kernels::cuda {

struct Chunk {
  uint32_t q[8];  // values 4i .. 4i+3, the first in the lowest byte
  float scale[2];
  float offset[2];
};

__device__ inline void Load16(const uint8_t* from, uint32_t* to) {
  const uint4 v = *reinterpret_cast<const uint4*>(from);
  to[0] = v.x;
  to[1] = v.y;
  to[2] = v.z;
  to[3] = v.w;
}

__device__ inline uint32_t Load2(const uint8_t* from) {
  return *reinterpret_cast<const uint16_t*>(from);
}

__device__ inline float LoadHalf(const uint8_t* from) {
  return HalfBitsToFloat(static_cast<uint16_t>(Load2(from)));
}

// Four bytes 0..127, less `amount` <= 128 each: no byte borrows from the next.
__device__ inline uint32_t SubtractBytes(uint32_t bytes, uint32_t amount) {
  return ((bytes | 0x80808080u) - amount * 0x01010101u) ^ 0x80808080u;
}

__device__ inline void SetScales(Chunk& c, float scale, float offset) {
  c.scale[0] = c.scale[1] = scale;
  c.offset[0] = c.offset[1] = offset;
}

// 16 bytes of nibbles: the low ones are values 0..15, the high ones 16..31.
__device__ inline void LoadNibbles(const uint8_t* body, uint32_t* q) {
  Load16(body, q);
  for (int i = 0; i < 4; ++i) {
    q[4 + i] = q[i] >> 4 & 0x0f0f0f0fu;
    q[i] &= 0x0f0f0f0fu;
  }
}

// Bit j of `high` is the fifth bit of value j.
__device__ inline void AddFifthBits(uint32_t high, uint32_t* q) {
  for (int i = 0; i < 8; ++i) {
    const uint32_t bits = high >> (4 * i);
    q[i] |= (bits & 1u) << 4 | (bits & 2u) << 11 | (bits & 4u) << 18 | (bits & 8u) << 25;
  }
}

// Nibbles 0..15 become the bytes that a table of 16 has for them.
__device__ inline uint32_t LookUp(uint32_t nibbles, const uint32_t (&table)[4]) {
  const uint32_t pairs = nibbles | nibbles >> 4;
  const uint32_t selector = (pairs & 0xffu) | (pairs >> 8 & 0xff00u);
  const uint32_t low = __byte_perm(table[0], table[1], selector & 0x7777u);
  const uint32_t high = __byte_perm(table[2], table[3], selector & 0x7777u);
  const uint32_t upper = (nibbles >> 3 & 0x01010101u) * 0xffu;
  return (low & ~upper) | (high & upper);
}

// kOffset: offsets are not all zero. kHalves: the 16s of a chunk have scales of their own.
template <DType kType>
struct Format;

template <>
struct Format<DType::kQ4_0> {
  static constexpr bool kOffset = false, kHalves = false;
  __device__ static void Load(const uint8_t* body, const uint8_t* side, int, Chunk& c) {
    LoadNibbles(body, c.q);
    for (uint32_t& q : c.q) q = SubtractBytes(q, 8);
    SetScales(c, LoadHalf(side), 0.0f);
  }
};

template <>
struct Format<DType::kQ4_1> {
  static constexpr bool kOffset = true, kHalves = false;
  __device__ static void Load(const uint8_t* body, const uint8_t* side, int, Chunk& c) {
    LoadNibbles(body, c.q);
    SetScales(c, LoadHalf(side), LoadHalf(side + 2));
  }
};

template <>
struct Format<DType::kQ5_0> {
  static constexpr bool kOffset = false, kHalves = false;
  __device__ static void Load(const uint8_t* body, const uint8_t* side, int, Chunk& c) {
    LoadNibbles(body, c.q);
    AddFifthBits(Load2(side + 2) | Load2(side + 4) << 16, c.q);
    for (uint32_t& q : c.q) q = SubtractBytes(q, 16);
    SetScales(c, LoadHalf(side), 0.0f);
  }
};

template <>
struct Format<DType::kQ5_1> {
  static constexpr bool kOffset = true, kHalves = false;
  __device__ static void Load(const uint8_t* body, const uint8_t* side, int, Chunk& c) {
    LoadNibbles(body, c.q);
    AddFifthBits(Load2(side + 4) | Load2(side + 6) << 16, c.q);
    SetScales(c, LoadHalf(side), LoadHalf(side + 2));
  }
};

template <>
struct Format<DType::kQ8_0> {
  static constexpr bool kOffset = false, kHalves = false;
  __device__ static void Load(const uint8_t* body, const uint8_t* side, int, Chunk& c) {
    Load16(body, c.q);
    Load16(body + 16, c.q + 4);
    SetScales(c, LoadHalf(side), 0.0f);
  }
};

template <>
struct Format<DType::kIQ4_NL> {
  static constexpr bool kOffset = false, kHalves = false;
  __device__ static void Load(const uint8_t* body, const uint8_t* side, int, Chunk& c) {
    // -127 -104 -83 -65 | -49 -35 -22 -10 | 1 13 25 38 | 53 69 89 113
    constexpr uint32_t kTable[4] = {0xbfad9881u, 0xf6eaddcfu, 0x26190d01u, 0x71594535u};
    LoadNibbles(body, c.q);
    for (uint32_t& q : c.q) q = LookUp(q, kTable);
    SetScales(c, LoadHalf(side), 0.0f);
  }
};

template <>
struct Format<DType::kMXFP4> {
  static constexpr bool kOffset = false, kHalves = false;
  __device__ static void Load(const uint8_t* body, const uint8_t* side, int, Chunk& c) {
    // Twice 0 0.5 1 1.5 2 3 4 6 and their negatives; so the scale is 2^(e - 128).
    constexpr uint32_t kTable[4] = {0x03020100u, 0x0c080604u, 0xfdfeff00u, 0xf4f8fafcu};
    LoadNibbles(body, c.q);
    for (uint32_t& q : c.q) q = LookUp(q, kTable);
    const uint32_t e = *side;
    SetScales(c, __uint_as_float(e < 2 ? 0x200000u << e : (e - 1) << 23), 0.0f);
  }
};

template <>
struct Format<DType::kQ2_K> {
  static constexpr bool kOffset = true, kHalves = true;
  __device__ static void Load(const uint8_t* body, const uint8_t* side, int chunk, Chunk& c) {
    const uint8_t* qs = body + 16 + chunk / 4 * 32;
    Load16(qs, c.q);
    Load16(qs + 16, c.q + 4);
    for (uint32_t& q : c.q) q = q >> (2 * (chunk % 4)) & 0x03030303u;
    const float d = LoadHalf(side);
    const float dmin = LoadHalf(side + 2);
    for (int i = 0; i < 2; ++i) {
      const int scale = body[2 * chunk + i];
      c.scale[i] = d * static_cast<float>(scale & 15);
      c.offset[i] = -dmin * static_cast<float>(scale >> 4);
    }
  }
};

template <>
struct Format<DType::kQ3_K> {
  static constexpr bool kOffset = false, kHalves = true;
  __device__ static void Load(const uint8_t* body, const uint8_t* side, int chunk, Chunk& c) {
    const uint8_t* qs = body + 32 + chunk / 4 * 32;
    Load16(qs, c.q);
    Load16(qs + 16, c.q + 4);
    uint32_t mask[8];
    Load16(body, mask);
    Load16(body + 16, mask + 4);
    for (int i = 0; i < 8; ++i) {
      const uint32_t low = c.q[i] >> (2 * (chunk % 4)) & 0x03030303u;
      c.q[i] = SubtractBytes(low | (mask[i] >> chunk & 0x01010101u) << 2, 4);
    }
    const float d = LoadHalf(side + 12);
    for (int i = 0; i < 2; ++i) {
      const int sub = 2 * chunk + i;
      const int low = sub < 8 ? side[sub] & 15 : side[sub - 8] >> 4;
      const int high = side[8 + sub % 4] >> (2 * (sub / 4)) & 3;
      c.scale[i] = d * static_cast<float>((low | high << 4) - 32);
      c.offset[i] = 0.0f;
    }
  }
};

// The six-bit scale and minimum of a chunk of Q4_K and Q5_K; b: d, dmin, 12 bytes.
__device__ inline void SetScaleAndMin(const uint8_t* b, int chunk, Chunk& c) {
  const uint8_t* s = b + 4;
  int scale, least;
  if (chunk < 4) {
    scale = s[chunk] & 63;
    least = s[chunk + 4] & 63;
  } else {
    scale = (s[chunk + 4] & 15) | (s[chunk - 4] >> 6) << 4;
    least = (s[chunk + 4] >> 4) | (s[chunk] >> 6) << 4;
  }
  SetScales(c, LoadHalf(b) * static_cast<float>(scale),
            -LoadHalf(b + 2) * static_cast<float>(least));
}

template <>
struct Format<DType::kQ4_K> {
  static constexpr bool kOffset = true, kHalves = false;
  __device__ static void Load(const uint8_t* body, const uint8_t*, int chunk, Chunk& c) {
    const uint8_t* qs = body + 16 + chunk / 2 * 32;
    Load16(qs, c.q);
    Load16(qs + 16, c.q + 4);
    for (uint32_t& q : c.q) q = q >> (4 * (chunk % 2)) & 0x0f0f0f0fu;
    SetScaleAndMin(body, chunk, c);
  }
};

template <>
struct Format<DType::kQ5_K> {
  static constexpr bool kOffset = true, kHalves = false;
  __device__ static void Load(const uint8_t* body, const uint8_t*, int chunk, Chunk& c) {
    const uint8_t* qs = body + 48 + chunk / 2 * 32;
    Load16(qs, c.q);
    Load16(qs + 16, c.q + 4);
    uint32_t high[8];
    Load16(body + 16, high);
    Load16(body + 32, high + 4);
    for (int i = 0; i < 8; ++i) {
      c.q[i] = (c.q[i] >> (4 * (chunk % 2)) & 0x0f0f0f0fu) | (high[i] >> chunk & 0x01010101u) << 4;
    }
    SetScaleAndMin(body, chunk, c);
  }
};

template <>
struct Format<DType::kQ6_K> {
  static constexpr bool kOffset = false, kHalves = true;
  __device__ static void Load(const uint8_t* body, const uint8_t* side, int chunk, Chunk& c) {
    const int quarter = chunk % 4;
    const uint8_t* low = body + 64 * (chunk / 4) + 32 * (quarter % 2);
    Load16(low, c.q);
    Load16(low + 16, c.q + 4);
    uint32_t high[8];
    Load16(body + 128 + 32 * (chunk / 4), high);
    Load16(body + 128 + 32 * (chunk / 4) + 16, high + 4);
    for (int i = 0; i < 8; ++i) {
      c.q[i] = SubtractBytes((c.q[i] >> (quarter < 2 ? 0 : 4) & 0x0f0f0f0fu) |
                                 (high[i] >> (2 * quarter) & 0x03030303u) << 4,
                             32);
    }
    const float d = LoadHalf(side);
    for (int i = 0; i < 2; ++i) {
      c.scale[i] = d * static_cast<float>(static_cast<int8_t>(body[192 + 2 * chunk + i]));
      c.offset[i] = 0.0f;
    }
  }
};

}  // namespace parity::kernels::cuda

#endif  // PARITY_KERNELS_CUDA_BLOCK_FORMAT_CUH_
