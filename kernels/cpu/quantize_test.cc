#include "kernels/cpu/quantize.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include "kernels/half.h"

namespace parity::kernels {
namespace {

constexpr auto kLlama = ActivationQuantization::kLlama;
constexpr auto kPlanted = ActivationQuantization::kPlantedInverseOfScale;

std::vector<uint8_t> Prepare(ActivationKind kind, ActivationQuantization quantization,
                             SimdPath path, const std::vector<float>& x) {
  std::vector<uint8_t> out(ActivationRowBytes(kind, x.size()));
  PrepareActivationRow(kind, quantization, path, x.data(), x.size(), out.data());
  return out;
}

ActivationBlock Block(const std::vector<float>& x, SimdPath path = SimdPath::kScalar,
                      ActivationQuantization quantization = kLlama) {
  const std::vector<uint8_t> bytes = Prepare(ActivationKind::kQ8, quantization, path, x);
  ActivationBlock block;
  std::memcpy(&block, bytes.data(), sizeof(block));
  return block;
}

// Normal values with rows that hold subnormals, huge values, zeros and exact ties.
std::vector<float> Values(int64_t count, int seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> x(count);
  for (float& value : x) value = normal(random);
  for (int64_t i = 0; i < count; ++i) {
    if (i / 32 % 5 == 1) x[i] *= 1e-38f;
    if (i / 32 % 5 == 2) x[i] *= 1e30f;
    if (i / 32 % 5 == 3) x[i] = 0.0f;
    if (i / 32 % 5 == 4) x[i] = static_cast<float>(i % 9 - 4) + 0.5f;
  }
  return x;
}

TEST(QuantizeTest, FollowsTheDefinitionOfQ8) {
  std::vector<float> x(32, 0.0f);
  x[0] = -254.0f;  // d = 2, inverse 0.5
  x[1] = 1.0f;     // 0.5 ties to 0
  x[2] = 3.0f;     // 1.5 ties to 2
  x[3] = -5.0f;    // -2.5 ties to -2
  x[31] = 100.0f;  // 50
  const ActivationBlock block = Block(x);
  EXPECT_EQ(block.scale, 2.0f);
  EXPECT_EQ(block.values[0], -127);
  EXPECT_EQ(block.values[1], 0);
  EXPECT_EQ(block.values[2], 2);
  EXPECT_EQ(block.values[3], -2);
  EXPECT_EQ(block.values[31], 50);
  EXPECT_EQ(block.sum, -127 + 2 - 2 + 50);
  EXPECT_EQ(block.scaled_sum, 2.0f * block.sum);
}

TEST(QuantizeTest, SumIsScaledByTheUnroundedScale) {
  int distinguishable = 0;
  for (int i = 1; i < 100; ++i) {
    const float value = 1.0f / static_cast<float>(i);
    const float d = value / 127.0f;
    const ActivationBlock block = Block(std::vector<float>(32, value));
    EXPECT_EQ(block.scale, RoundToHalf(d));
    EXPECT_EQ(block.scaled_sum, RoundToHalf(d * 32 * 127));
    distinguishable += block.scaled_sum != RoundToHalf(RoundToHalf(d) * 32 * 127);
  }
  EXPECT_GT(distinguishable, 10);
}

TEST(QuantizeTest, PlantedInverseFlipsSomeRoundings) {
  int flipped = 0;
  for (int seed = 0; seed < 2000; ++seed) {
    std::mt19937 random(seed);
    // Multiples of max / 254 are ties: the last bit of the inverse decides them.
    std::vector<float> x(32);
    x[0] = std::uniform_real_distribution<float>(1.0f, 2.0f)(random);
    for (int i = 1; i < 32; ++i) x[i] = x[0] * static_cast<float>(2 * i + 1) / 254.0f;
    const ActivationBlock right = Block(x), planted = Block(x, SimdPath::kScalar, kPlanted);
    EXPECT_EQ(right.scale, planted.scale);
    flipped += std::memcmp(right.values, planted.values, 32) != 0;
  }
  EXPECT_GT(flipped, 100);
}

TEST(QuantizeTest, AValueThatIsNotFinitePoisonsItsBlockOnly) {
  for (float bad : {std::numeric_limits<float>::infinity(), -std::numeric_limits<float>::infinity(),
                    std::numeric_limits<float>::quiet_NaN()}) {
    std::vector<float> x(64, 1.0f);
    x[7] = bad;
    for (SimdPath path : {SimdPath::kScalar, SimdPath::kAvx2}) {
      if (!Supported(path)) continue;
      const std::vector<uint8_t> bytes = Prepare(ActivationKind::kQ8, kLlama, path, x);
      ActivationBlock blocks[2];
      std::memcpy(blocks, bytes.data(), sizeof(blocks));
      EXPECT_TRUE(std::isnan(blocks[0].scale));
      EXPECT_TRUE(std::isnan(blocks[0].scaled_sum));
      EXPECT_EQ(blocks[0].sum, 0);
      EXPECT_EQ(blocks[1].sum, 32 * 127);
      EXPECT_EQ(blocks[1].scale, RoundToHalf(1.0f / 127.0f));
    }
  }
}

TEST(QuantizeTest, PathsGiveTheSameBits) {
  if (!Supported(SimdPath::kAvx2)) GTEST_SKIP() << "this machine has no AVX2";
  for (int64_t cols : {32, 64, 256, 480, 576, 1536, 1, 31, 33, 100}) {
    std::vector<float> x = Values(cols, static_cast<int>(cols));
    if (cols == 576) x[100] = std::numeric_limits<float>::quiet_NaN();
    if (cols == 576) x[200] = -std::numeric_limits<float>::infinity();
    for (auto kind : {ActivationKind::kFloat, ActivationKind::kHalf, ActivationKind::kBf16,
                      ActivationKind::kQ8}) {
      for (auto quantization : {kLlama, kPlanted}) {
        EXPECT_EQ(Prepare(kind, quantization, SimdPath::kScalar, x),
                  Prepare(kind, quantization, SimdPath::kAvx2, x))
            << cols << " columns, kind " << static_cast<int>(kind);
      }
    }
  }
}

TEST(QuantizeTest, FloatKindsRoundAndPad) {
  const std::vector<float> x = {1.0f, 1.0f / 3.0f, -2.7f};
  const std::vector<uint8_t> bytes = Prepare(ActivationKind::kHalf, kLlama, SimdPath::kScalar, x);
  float row[32];
  ASSERT_EQ(bytes.size(), sizeof(row));
  std::memcpy(row, bytes.data(), sizeof(row));
  for (int i = 0; i < 32; ++i) EXPECT_EQ(row[i], i < 3 ? RoundToHalf(x[i]) : 0.0f);
}

}  // namespace
}  // namespace parity::kernels
