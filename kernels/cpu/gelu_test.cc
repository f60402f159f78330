#include "kernels/cpu/gelu.h"

#include <cmath>
#include <vector>

#include "gtest/gtest.h"
#include "kernels/half.h"

namespace parity::kernels {
namespace {

float Gelu(float x, float up) {
  float out;
  GeluTimesNative(&x, &up, 1, &out);
  return out;
}

TEST(GeluTest, IsAHalfOfAHalf) {
  for (float x = -9.9f; x < 10.0f; x += 0.037f) {
    const float y = Gelu(x, 1.0f);
    EXPECT_EQ(y, RoundToHalf(y)) << x;
    EXPECT_EQ(y, Gelu(RoundToHalf(x), 1.0f)) << x;
    const double h = RoundToHalf(x);
    const double exact = h / (1 + std::exp(-2 * 0.7978845608028654 * h * (1 + 0.044715 * h * h)));
    // A rounding to half (2^-11 relative, 2^-25 where subnormal) and float cancellation of 1 +
    // tanh.
    EXPECT_NEAR(y, exact, 0x1p-11 * std::fabs(exact) + 0x1p-25 + std::fabs(h) * 0x1p-23) << x;
  }
}

TEST(GeluTest, IsZeroOrTheIdentityBeyondTheTable) {
  EXPECT_EQ(Gelu(-10.0f, 3.0f), 0.0f);
  EXPECT_EQ(Gelu(-1e30f, 3.0f), 0.0f);
  EXPECT_EQ(Gelu(10.0f, 3.0f), 30.0f);
  EXPECT_EQ(Gelu(12345.67f, 2.0f), 2.0f * 12345.67f);
  EXPECT_TRUE(std::isnan(Gelu(std::nanf(""), 1.0f)));
}

}  // namespace
}  // namespace parity::kernels
