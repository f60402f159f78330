#include "kernels/half.h"

#include <immintrin.h>

#include <cmath>
#include <limits>

#include "gtest/gtest.h"

namespace parity::kernels {
namespace {

__attribute__((target("f16c"))) float HardwareToFloat(uint16_t half) {
  return _mm_cvtss_f32(_mm_cvtph_ps(_mm_cvtsi32_si128(half)));
}

__attribute__((target("f16c"))) uint16_t HardwareToHalf(float value) {
  return static_cast<uint16_t>(
      _mm_cvtsi128_si32(_mm_cvtps_ph(_mm_set_ss(value), _MM_FROUND_TO_NEAREST_INT)));
}

TEST(HalfTest, EveryHalfSurvivesTheRoundTrip) {
  for (uint32_t h = 0; h < 65536; ++h) {
    const uint16_t half = static_cast<uint16_t>(h);
    const bool nan = (h & 0x7c00) == 0x7c00 && (h & 0x3ff) != 0;
    EXPECT_EQ(FloatToHalf(HalfToFloat(half)), nan ? (half | 0x200) : half) << h;
  }
}

TEST(HalfTest, ValuesAreThoseOfTheFormat) {
  EXPECT_EQ(HalfToFloat(0x3c00), 1.0f);
  EXPECT_EQ(HalfToFloat(0xc000), -2.0f);
  EXPECT_EQ(HalfToFloat(0x7bff), 65504.0f);
  EXPECT_EQ(HalfToFloat(0x0001), std::ldexp(1.0f, -24));
  EXPECT_EQ(HalfToFloat(0x0400), std::ldexp(1.0f, -14));
  EXPECT_EQ(HalfToFloat(0x7c00), std::numeric_limits<float>::infinity());
  EXPECT_TRUE(std::signbit(HalfToFloat(0x8000)));
}

TEST(HalfTest, TiesGoToEven) {
  EXPECT_EQ(FloatToHalf(1.0f + 0x1p-11f), 0x3c00);
  EXPECT_EQ(FloatToHalf(1.0f + 3 * 0x1p-11f), 0x3c02);
  EXPECT_EQ(FloatToHalf(0x1p-25f), 0x0000);
  EXPECT_EQ(FloatToHalf(0x3p-25f), 0x0002);
  EXPECT_EQ(FloatToHalf(65519.996f), 0x7bff);
  EXPECT_EQ(FloatToHalf(65520.0f), 0x7c00);
}

TEST(HalfTest, AgreesWithF16cOnEveryHalfAndEveryNeighbourOfATie) {
  if (!__builtin_cpu_supports("f16c")) GTEST_SKIP() << "this CPU has no F16C";
  for (uint32_t h = 0; h < 65536; ++h) {
    const uint16_t half = static_cast<uint16_t>(h);
    const uint32_t bits = std::bit_cast<uint32_t>(HalfToFloat(half));
    EXPECT_EQ(bits, std::bit_cast<uint32_t>(HardwareToFloat(half))) << h;
    // Halfway to the next half, and one float to either side of it.
    for (uint32_t step : {0u, 0xfffu, 0x1000u, 0x1001u, 0x1fffu}) {
      const float value = std::bit_cast<float>(bits + step);
      EXPECT_EQ(FloatToHalf(value), HardwareToHalf(value)) << std::hex << bits + step;
    }
  }
}

TEST(HalfTest, AgreesWithF16cOverTheWholeRange) {
  if (!__builtin_cpu_supports("f16c")) GTEST_SKIP() << "this CPU has no F16C";
  for (uint64_t bits = 0; bits < 1ull << 32; bits += 4099) {  // a prime step visits every exponent
    const float value = std::bit_cast<float>(static_cast<uint32_t>(bits));
    ASSERT_EQ(FloatToHalf(value), HardwareToHalf(value)) << std::hex << bits;
  }
}

TEST(Bf16Test, RoundsToNearestEven) {
  EXPECT_EQ(FloatToBf16(1.0f), 0x3f80);
  EXPECT_EQ(FloatToBf16(1.0f + 0x1p-8f), 0x3f80);
  EXPECT_EQ(FloatToBf16(1.0f + 3 * 0x1p-8f), 0x3f82);
  EXPECT_EQ(FloatToBf16(std::numeric_limits<float>::max()), 0x7f80);
  EXPECT_TRUE(std::isnan(Bf16ToFloat(FloatToBf16(std::bit_cast<float>(0x7f800001u)))));
  for (uint32_t b = 0; b < 65536; ++b) {
    const uint16_t bf16 = static_cast<uint16_t>(b);
    const bool nan = (b & 0x7f80) == 0x7f80 && (b & 0x7f) != 0;
    EXPECT_EQ(FloatToBf16(Bf16ToFloat(bf16)), nan ? (bf16 | 64) : bf16);
  }
}

}  // namespace
}  // namespace parity::kernels
