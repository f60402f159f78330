#include "tests/testing/gguf_writer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "tests/testing/tiny_model.h"

namespace parity::testing {
namespace {

using kernels::DType;

TEST(GgufWriterTest, LaysOutHeaderKeysAndAlignedData) {
  GgufWriter writer;
  writer.AddU32("a", 7);
  writer.AddTensor("t", {2}, 0, EncodeValues(DType::kF32, {1.0f, 2.0f}));
  writer.AddTensor("u", {1}, 0, EncodeValues(DType::kF32, {3.0f}));
  std::string expected = "GGUF";
  AppendU32(expected, 3);
  AppendU64(expected, 2);
  AppendU64(expected, 1);
  AppendString(expected, "a");
  AppendU32(expected, 4);
  AppendU32(expected, 7);
  for (const auto& [name, size, offset] : {std::tuple("t", 2, 0), std::tuple("u", 1, 32)}) {
    AppendString(expected, name);
    AppendU32(expected, 1);
    AppendU64(expected, size);
    AppendU32(expected, 0);
    AppendU64(expected, offset);
  }
  expected.resize((expected.size() + 31) / 32 * 32);
  const std::string bytes = writer.Serialize();
  ASSERT_EQ(bytes.size(), expected.size() + 64);
  EXPECT_EQ(bytes.substr(0, expected.size()), expected);
  float value;
  memcpy(&value, bytes.data() + expected.size() + 32, sizeof(value));
  EXPECT_EQ(value, 3.0f);
}

TEST(GgufWriterTest, QuantisationErrorIsAtMostHalfAStep) {
  Deviates deviates(3);
  std::vector<float> x(32);
  for (float& v : x) v = deviates.Next();
  float low = 0, high = 0, largest = 0;
  for (float v : x) {
    low = std::min(low, v);
    high = std::max(high, v);
    largest = std::max(largest, std::fabs(v));
  }
  const std::string q8 = EncodeValues(DType::kQ8_0, x);
  ASSERT_EQ(q8.size(), 34u);
  const std::string q41 = EncodeValues(DType::kQ4_1, x);
  ASSERT_EQ(q41.size(), 20u);
  ASSERT_EQ(EncodeValues(DType::kQ4_0, x).size(), 18u);
  const auto half = [](const std::string& s, int at) {
    return FloatFromHalf(static_cast<uint8_t>(s[at]) | static_cast<uint8_t>(s[at + 1]) << 8);
  };
  for (int j = 0; j < 32; ++j) {
    // Half a step, and the half-precision rounding of the scale (2^-11) over the whole range.
    const float step8 = half(q8, 0);
    EXPECT_NEAR(step8 * static_cast<int8_t>(q8[2 + j]), x[j], step8 / 2 + largest / 2048);
    const float step4 = half(q41, 0);
    const int byte = static_cast<uint8_t>(q41[4 + j % 16]);
    const int nibble = j < 16 ? byte & 15 : byte >> 4;
    EXPECT_NEAR(step4 * nibble + half(q41, 2), x[j], step4 / 2 + (high - low) / 1024);
  }
}

TEST(GgufWriterTest, SameSeedGivesTheSameFileAndAnotherSeedDoesNot) {
  TinyModelOptions options;
  const std::string first = TinyModel(options).Serialize();
  EXPECT_EQ(first, TinyModel(options).Serialize());
  options.seed = 2;
  EXPECT_NE(first, TinyModel(options).Serialize());
}

}  // namespace
}  // namespace parity::testing
