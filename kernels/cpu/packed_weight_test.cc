#include "kernels/cpu/packed_weight.h"

#include <gtest/gtest.h>

#include <cstring>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "kernels/half.h"

namespace parity::kernels {
namespace {

std::vector<uint8_t> Noise(int64_t bytes) {
  std::mt19937 random(7);
  std::vector<uint8_t> out(bytes);
  for (uint8_t& byte : out) byte = static_cast<uint8_t>(random());
  return out;
}

WeightSource Source(DType dtype, int64_t rows, int64_t cols, const std::vector<uint8_t>& bytes) {
  return {.name = "blk.0.w", .dtype = dtype, .rows = rows, .cols = cols, .bytes = bytes};
}

TEST(PackedWeightTest, Q4_1InterleavesSixteenRows) {
  const std::vector<uint8_t> bytes = Noise(17 * 2 * 20);  // 17 rows of two blocks
  const auto weight = PackWeight(Source(DType::kQ4_1, 17, 64, bytes), Numerics::kNative);
  ASSERT_TRUE(weight.ok()) << weight.status();
  EXPECT_EQ((*weight)->groups(), 2);
  EXPECT_EQ((*weight)->blocks(), 2);
  EXPECT_EQ((*weight)->resident_bytes(), 2 * 2 * 320);
  for (int row = 0; row < 32; ++row) {
    for (int b = 0; b < 2; ++b) {
      const uint8_t* block = (*weight)->group(row / 16) + b * 320;
      uint8_t expected[20] = {};
      if (row < 17) std::memcpy(expected, bytes.data() + row * 40 + b * 20, 20);
      EXPECT_EQ(std::memcmp(block + 2 * (row % 16), expected, 2), 0);
      EXPECT_EQ(std::memcmp(block + 32 + 2 * (row % 16), expected + 2, 2), 0);
      for (int c = 0; c < 4; ++c) {
        EXPECT_EQ(std::memcmp(block + 64 + 64 * c + 4 * (row % 16), expected + 4 + 4 * c, 4), 0);
      }
    }
  }
}

TEST(PackedWeightTest, WhatIsOnlyLookedUpHoldsNothing) {
  const std::vector<uint8_t> bytes = Noise(17 * 2 * 34);
  WeightSource source = Source(DType::kQ8_0, 17, 64, bytes);
  const auto packed = PackWeight(source, Numerics::kNative);
  source.multiplied = false;
  const auto looked_up = PackWeight(source, Numerics::kNative);
  ASSERT_TRUE(looked_up.ok()) << looked_up.status();
  EXPECT_EQ((*looked_up)->resident_bytes(), 0);
  for (int64_t row = 0; row < 17; ++row) {
    float expected[64], found[64];
    DequantizeRow(**packed, row, expected);
    DequantizeRow(**looked_up, row, found);
    EXPECT_EQ(std::memcmp(found, expected, sizeof(found)), 0) << row;
  }
  source.bytes.remove_suffix(1);  // its shape is checked all the same
  EXPECT_EQ(PackWeight(source, Numerics::kNative).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST(PackedWeightTest, ResidentBytesAreTheFilesForWholeGroups) {
  // Scales of whole bytes where the file packs six bits; MXFP4's of two.
  const std::map<DType, int> extra = {
      {DType::kQ3_K, 4}, {DType::kQ4_K, 4}, {DType::kQ5_K, 4}, {DType::kMXFP4, 1}};
  for (const DTypeTraits& traits : AllDTypes()) {
    const int64_t cols = traits.block_elements == 256 ? 768 : 96;
    const std::vector<uint8_t> bytes = Noise(48 * RowBytes(traits.dtype, cols));
    const auto weight = PackWeight(Source(traits.dtype, 48, cols, bytes), Numerics::kNative);
    ASSERT_TRUE(weight.ok()) << weight.status();
    const auto more = extra.find(traits.dtype);
    const int64_t per_block = more == extra.end() ? 0 : more->second;
    EXPECT_EQ((*weight)->resident_bytes(), static_cast<int64_t>(bytes.size()) + 48 * 3 * per_block)
        << traits.name;
  }
}

TEST(PackedWeightTest, ThreadsPackTheSameBytes) {
  ThreadPool pool(3);
  for (const DTypeTraits& traits : AllDTypes()) {
    const std::vector<uint8_t> bytes = Noise(100 * RowBytes(traits.dtype, 256));
    const WeightSource source = Source(traits.dtype, 100, 256, bytes);
    const auto alone = PackWeight(source, Numerics::kNative);
    const auto together = PackWeight(source, Numerics::kNative, &pool);
    ASSERT_TRUE(alone.ok() && together.ok());
    EXPECT_EQ(std::memcmp((*alone)->group(0), (*together)->group(0), (*alone)->resident_bytes()), 0)
        << traits.name;
  }
}

TEST(PackedWeightTest, DequantizeRowReadsTheSource) {
  std::vector<uint8_t> bytes(2 * 34);
  const uint16_t half = FloatToHalf(0.25f);
  for (int row = 0; row < 2; ++row) std::memcpy(bytes.data() + row * 34, &half, 2);
  for (int i = 0; i < 32; ++i) bytes[34 + 2 + i] = static_cast<uint8_t>(i - 16);
  const auto weight = PackWeight(Source(DType::kQ8_0, 2, 32, bytes), Numerics::kNative);
  ASSERT_TRUE(weight.ok()) << weight.status();
  float row[32];
  DequantizeRow(**weight, 1, row);
  for (int i = 0; i < 32; ++i) EXPECT_EQ(row[i], 0.25f * (i - 16));
}

TEST(PackedWeightTest, RefusesTypesWithoutAProduct) {
  const std::vector<uint8_t> bytes = Noise(66);  // IQ2_XXS
  const auto weight = PackWeight(Source(DType{16}, 1, 256, bytes), Numerics::kNative);
  EXPECT_EQ(weight.status().code(), absl::StatusCode::kUnimplemented);
  EXPECT_NE(weight.status().message().find("blk.0.w"), absl::string_view::npos);
  EXPECT_NE(weight.status().message().find("type 16"), absl::string_view::npos);
}

TEST(PackedWeightTest, RefusesShapesThatDoNotFit) {
  const std::vector<uint8_t> bytes = Noise(40);
  for (auto [rows, cols] : std::vector<std::pair<int64_t, int64_t>>{
           {0, 32}, {1, 0}, {1, 33}, {3, 32}, {1, 32}, {-1, 32}, {int64_t{1} << 60, 32}}) {
    const auto weight = PackWeight(Source(DType::kQ4_1, rows, cols, bytes), Numerics::kNative);
    EXPECT_EQ(weight.status().code(), absl::StatusCode::kInvalidArgument) << rows << " x " << cols;
    EXPECT_NE(weight.status().message().find("blk.0.w"), absl::string_view::npos);
  }
}

}  // namespace
}  // namespace parity::kernels
