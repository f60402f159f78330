// The products without vector instructions: loops over the 16 rows of a group, which the compiler
// may turn into whatever the machine's baseline has.
#include <cmath>
#include <cstring>

#include "kernels/cpu/product_groups.h"
#include "kernels/half.h"

namespace parity::kernels {
namespace {

template <class T>
struct Lanes {
  T at[16];
};

struct ScalarIsa {
  using I = Lanes<int32_t>;
  using F = Lanes<float>;
  using D = Lanes<double>;
  static constexpr int kLanes = 16;
  static constexpr int kTokens = 2;
  static constexpr int kDoubleTokens = 2;
  static constexpr bool kWidens = false;

  static I Load(const uint8_t* p) {
    I words;
    std::memcpy(&words, p, sizeof(words));
    return words;
  }
  static I Broadcast(const int8_t* p) { return BroadcastWord(p); }
  static I BroadcastPair(const int16_t* p) { return BroadcastWord(p); }
  static I Zero() { return {}; }
  static I Plus(const I& a, const I& b) {
    return Each<I>([&](int r) { return a.at[r] + b.at[r]; });
  }
  static I Subtract(const I& a, int32_t b) {
    return Each<I>([&](int r) { return a.at[r] - b; });
  }
  static I SubtractShifted(const I& a, const I& b, int bits) {
    return Each<I>([&](int r) { return a.at[r] - b.at[r] * (1 << bits); });
  }
  static I Or(const I& a, const I& b) {
    return Each<I>([&](int r) { return a.at[r] | b.at[r]; });
  }
  static I LowNibbles(const I& a) { return Bits(a, 0, 15); }
  static I HighNibbles(const I& a) { return Bits(a, 4, 15); }
  static I Bits(const I& a, int right, int mask) {
    const int32_t all = mask * 0x01010101;
    return Each<I>([&](int r) {
      const auto word = static_cast<uint32_t>(a.at[r]);
      return static_cast<int32_t>(right >= 0 ? word >> right : word << -right) & all;
    });
  }
  static I Lookup(const int8_t* table, const I& a) {
    return Each<I>([&](int r) {
      uint32_t word = 0;
      for (int i = 0; i < 4; ++i) {
        word |= uint32_t{static_cast<uint8_t>(table[Byte(a.at[r], i)])} << (8 * i);
      }
      return static_cast<int32_t>(word);
    });
  }
  static I UnsignedByte(const I& a, int i) {
    return Each<I>([&](int r) { return int32_t{Byte(a.at[r], i)}; });
  }
  static I SignedByte(const I& a, int i) {
    return Each<I>([&](int r) { return int32_t{Signed(a.at[r], i)}; });
  }
  static I ByteAt(const I& a, int i) { return SignedByte(a, i); }
  static I ScaleAt(const I& a, int i) { return SignedByte(a, i); }
  static I BytePair(const I& a, int half) {
    return Each<I>([&](int r) {
      const auto low = static_cast<uint16_t>(Signed(a.at[r], 2 * half));
      const auto high = static_cast<uint16_t>(Signed(a.at[r], 2 * half + 1));
      return static_cast<int32_t>(uint32_t{high} << 16 | low);
    });
  }
  static I DotPair(const I& sum, const I& w, const I& x) {
    return Each<I>([&](int r) {
      return sum.at[r] + static_cast<int16_t>(w.at[r]) * static_cast<int16_t>(x.at[r]) +
             (w.at[r] >> 16) * (x.at[r] >> 16);
    });
  }
  static I StartSmall(const I& w, const I& x) { return DotSigned(Zero(), w, x); }
  static I DotSmall(const I& sum, const I& w, const I& x) { return DotSigned(sum, w, x); }
  static I FinishSmall(const I& sum) { return sum; }
  static I AddScaled(const I& sum, const I& small, const I& scale) {
    return Each<I>([&](int r) { return sum.at[r] + small.at[r] * scale.at[r]; });
  }
  static I DotSigned(const I& sum, const I& w, const I& x) {
    return Each<I>([&](int r) {
      int32_t total = sum.at[r];
      for (int i = 0; i < 4; ++i) total += Signed(w.at[r], i) * Signed(x.at[r], i);
      return total;
    });
  }
  static I FinishSigned(const I& sum, int32_t /*x_sum*/) { return sum; }
  static F ToFloat(const I& a) {
    return Each<F>([&](int r) { return static_cast<float>(a.at[r]); });
  }

  static F Half(const uint8_t* p) {
    return Each<F>([&](int r) { return HalfToFloat(Load16(p + 2 * r)); });
  }
  static F Bf16(const uint8_t* p) {
    return Each<F>([&](int r) { return Bf16ToFloat(Load16(p + 2 * r)); });
  }
  static F LoadFloat(const float* p) {
    F a;
    std::memcpy(&a, p, sizeof(a));
    return a;
  }
  static void Store(float* p, const F& a) { std::memcpy(p, &a, sizeof(a)); }
  static F Splat(float a) {
    return Each<F>([&](int) { return a; });
  }
  static F Mul(const F& a, const F& b) {
    return Each<F>([&](int r) { return a.at[r] * b.at[r]; });
  }
  static F Add(const F& a, const F& b) {
    return Each<F>([&](int r) { return a.at[r] + b.at[r]; });
  }
  static F Sub(const F& a, const F& b) {
    return Each<F>([&](int r) { return a.at[r] - b.at[r]; });
  }
  static F Fma(const F& a, const F& b, const F& c) {
    return Each<F>([&](int r) { return std::fma(a.at[r], b.at[r], c.at[r]); });
  }

  static D ZeroDouble() { return {}; }
  static D ToDouble(const F& a) {
    return Each<D>([&](int r) { return static_cast<double>(a.at[r]); });
  }
  static D FmaDouble(const D& w, float x, const D& sum) {
    return Each<D>([&](int r) { return std::fma(w.at[r], static_cast<double>(x), sum.at[r]); });
  }
  static F Rounded(const D& a) {
    return Each<F>([&](int r) { return static_cast<float>(a.at[r]); });
  }

 private:
  template <class T, class Body>
  static T Each(Body body) {
    T out;
    for (int r = 0; r < kLanes; ++r) out.at[r] = body(r);
    return out;
  }
  static I BroadcastWord(const void* p) {
    int32_t word;
    std::memcpy(&word, p, sizeof(word));
    return Each<I>([&](int) { return word; });
  }
  static uint8_t Byte(int32_t word, int i) { return static_cast<uint32_t>(word) >> (8 * i); }
  static int8_t Signed(int32_t word, int i) { return static_cast<int8_t>(Byte(word, i)); }
  static uint16_t Load16(const uint8_t* p) {
    uint16_t bits;
    std::memcpy(&bits, p, sizeof(bits));
    return bits;
  }
};

}  // namespace

GroupProductFn ScalarProduct(DType dtype, Numerics numerics) {
  return Select<ScalarIsa>(dtype, numerics);
}

}  // namespace parity::kernels
