// The products without vector instructions: one output row at a time.
#include <cmath>
#include <cstring>

#include "kernels/cpu/product_tiles.h"
#include "kernels/half.h"

namespace parity::kernels {
namespace {

struct ScalarIsa {
  using I = int32_t;
  using F = float;
  using D = double;
  static constexpr int kLanes = 1;
  static constexpr int kTokens = 2;
  static constexpr int kDoubleTokens = 2;

  static I Load(const uint8_t* p) {
    I words;
    std::memcpy(&words, p, sizeof(words));
    return words;
  }
  static I Broadcast(const int8_t* p) { return Load(reinterpret_cast<const uint8_t*>(p)); }
  static I Zero() { return 0; }
  static I Subtract(I a, int32_t b) { return a - b; }
  static I LowNibbles(I a) { return a & 0x0f0f0f0f; }
  static I HighNibbles(I a) { return (a >> 4) & 0x0f0f0f0f; }
  static I UnsignedByte(I a, int i) { return (static_cast<uint32_t>(a) >> (8 * i)) & 0xff; }
  static I SignedByte(I a, int i) { return static_cast<int8_t>(UnsignedByte(a, i)); }
  static I DotSmall(I sum, I w, I x) { return DotSigned(sum, w, x); }
  static I FinishSmall(I sum) { return sum; }
  static I DotSigned(I sum, I w, I x) {
    for (int i = 0; i < 4; ++i) sum += SignedByte(w, i) * SignedByte(x, i);
    return sum;
  }
  static I FinishSigned(I sum, int32_t /*x_sum*/) { return sum; }
  static F ToFloat(I a) { return static_cast<float>(a); }

  static F Half(const uint8_t* p) { return HalfToFloat(Load16(p)); }
  static F Bf16(const uint8_t* p) { return Bf16ToFloat(Load16(p)); }
  static F LoadFloat(const float* p) { return *p; }
  static void Store(float* p, F a) { *p = a; }
  static F Splat(float a) { return a; }
  static F Mul(F a, F b) { return a * b; }
  static F Add(F a, F b) { return a + b; }
  static F Fma(F a, F b, F c) { return std::fma(a, b, c); }

  static D ZeroDouble() { return 0; }
  static D ToDouble(F a) { return a; }
  static D FmaDouble(D w, float x, D sum) { return std::fma(w, static_cast<double>(x), sum); }
  static F Rounded(D a) { return static_cast<float>(a); }

 private:
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
