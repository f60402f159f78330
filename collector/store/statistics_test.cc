#include "collector/store/statistics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <vector>

namespace parity::store {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInf = std::numeric_limits<float>::infinity();

absl::string_view BytesOf(const std::vector<float>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float)};
}

// Long double, one sum, no lanes: another way to the same numbers.
Statistics Expected(const std::vector<float>& values) {
  Statistics expected;
  long double sum = 0, squares = 0;
  for (const float value : values) {
    if (std::isnan(value)) {
      ++expected.nan_count;
    } else if (std::isinf(value)) {
      ++expected.inf_count;
    } else {
      expected.min = expected.finite == 0 ? value : std::fmin(expected.min, value);
      expected.max = expected.finite == 0 ? value : std::fmax(expected.max, value);
      ++expected.finite;
      sum += value;
      squares += static_cast<long double>(value) * value;
    }
  }
  if (expected.finite > 0) {
    expected.mean = static_cast<double>(sum / expected.finite);
    expected.rms = std::sqrt(static_cast<double>(squares / expected.finite));
  }
  return expected;
}

void ExpectSame(const std::vector<float>& values) {
  const Statistics found = ComputeStatistics(v1::DTYPE_F32, BytesOf(values));
  const Statistics expected = Expected(values);
  // A sum of n doubles errs by at most n * 2^-53 times the sum of magnitudes, which is <= n * rms.
  const double bound = values.size() * std::ldexp(1.0, -53);
  EXPECT_EQ(found.finite, expected.finite);
  EXPECT_EQ(found.nan_count, expected.nan_count);
  EXPECT_EQ(found.inf_count, expected.inf_count);
  EXPECT_EQ(found.min, expected.min);
  EXPECT_EQ(found.max, expected.max);
  EXPECT_NEAR(found.mean, expected.mean, bound * expected.rms);
  EXPECT_NEAR(found.rms, expected.rms, bound * expected.rms);
}

TEST(StatisticsTest, AgreesWithLongDoubleAtEveryOddSize) {
  std::mt19937 random(1);
  std::normal_distribution<float> normal(3, 10);
  for (const size_t size : {1, 2, 15, 16, 17, 31, 33, 100, 576, 4095, 4096, 4097, 49152}) {
    std::vector<float> values(size);
    for (float& value : values) value = normal(random);
    ExpectSame(values);
  }
}

TEST(StatisticsTest, NonFiniteValuesAreCountedAndLeftOut) {
  std::vector<float> values(100, 2.0f);
  values[3] = kNan;
  values[20] = kInf;
  values[21] = -kInf;
  values[99] = kNan;
  ExpectSame(values);
  const Statistics found = ComputeStatistics(v1::DTYPE_F32, BytesOf(values));
  EXPECT_EQ(found.nan_count, 2);
  EXPECT_EQ(found.inf_count, 2);
  EXPECT_EQ(found.rms, 2.0);
}

TEST(StatisticsTest, NothingFiniteLeavesZeros) {
  const Statistics found = ComputeStatistics(v1::DTYPE_F32, BytesOf({kNan, kInf}));
  EXPECT_EQ(found.finite, 0);
  EXPECT_EQ(found.min, 0);
  EXPECT_EQ(found.max, 0);
  EXPECT_EQ(found.mean, 0);
}

TEST(StatisticsTest, LargeFloatsDoNotOverflow) {
  ExpectSame(std::vector<float>(64, std::numeric_limits<float>::max()));
}

TEST(StatisticsTest, HalvesAreDecoded) {
  // 1.0, -2.0, +Inf, NaN in binary16; and 1.0, -2.0 in bfloat16.
  const uint16_t half[] = {0x3c00, 0xc000, 0x7c00, 0x7e00};
  const Statistics f16 =
      ComputeStatistics(v1::DTYPE_F16, {reinterpret_cast<const char*>(half), sizeof(half)});
  EXPECT_EQ(f16.finite, 2);
  EXPECT_EQ(f16.inf_count, 1);
  EXPECT_EQ(f16.nan_count, 1);
  EXPECT_EQ(f16.min, -2.0);
  EXPECT_EQ(f16.max, 1.0);
  EXPECT_EQ(f16.mean, -0.5);
  const uint16_t brain[] = {0x3f80, 0xc000};
  const Statistics bf16 =
      ComputeStatistics(v1::DTYPE_BF16, {reinterpret_cast<const char*>(brain), sizeof(brain)});
  EXPECT_EQ(bf16.mean, -0.5);
  EXPECT_EQ(bf16.rms, std::sqrt(2.5));
}

}  // namespace
}  // namespace parity::store
