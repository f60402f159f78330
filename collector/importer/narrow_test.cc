#include "collector/importer/narrow.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "proto/tensor/values.h"

namespace parity::importer {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();

TEST(NarrowTest, EveryHalfAndEveryBrainFloatComesBackWhole) {
  for (const v1::DType dtype : {v1::DTYPE_F16, v1::DTYPE_BF16}) {
    for (uint32_t bits = 0; bits < 0x10000; ++bits) {
      const uint16_t narrow = static_cast<uint16_t>(bits);
      float value = 0;
      tensor::DecodeTo(dtype, {reinterpret_cast<const char*>(&narrow), 2}, &value);
      std::string data;
      ASSERT_EQ(EncodeExactly(dtype, {value}, &data), dtype) << bits;
      uint16_t back = 0;
      ASSERT_EQ(data.size(), 2u);
      std::memcpy(&back, data.data(), 2);
      float again = 0;
      tensor::DecodeTo(dtype, {data.data(), 2}, &again);
      ASSERT_TRUE(back == narrow || (std::isnan(value) && std::isnan(again))) << bits;
    }
  }
}

TEST(NarrowTest, OneValueThatDoesNotFitKeepsAllAsFloats) {
  // Between two halves, too large, too small; the last only for bfloat16.
  for (const float odd : {1.0f + 0x1p-11f, 65520.0f, 0x1p-25f, -70000.0f}) {
    std::string data;
    const std::vector<float> values = {1, odd, kInf};
    EXPECT_EQ(EncodeExactly(v1::DTYPE_F16, values, &data), v1::DTYPE_F32) << odd;
    EXPECT_EQ(tensor::Decode(v1::DTYPE_F32, data), values);
  }
  std::string data;
  EXPECT_EQ(EncodeExactly(v1::DTYPE_BF16, {1.0f + 0x1p-8f}, &data), v1::DTYPE_F32);
}

TEST(NarrowTest, FloatsAreKeptAsTheyAre) {
  std::string data;
  EXPECT_EQ(EncodeExactly(v1::DTYPE_F32, {0.1f, -0.0f}, &data), v1::DTYPE_F32);
  EXPECT_EQ(EncodeExactly(v1::DTYPE_UNSPECIFIED, {0.1f, -0.0f}, &data), v1::DTYPE_F32);
  EXPECT_TRUE(std::signbit(tensor::Decode(v1::DTYPE_F32, data)[1]));
}

}  // namespace
}  // namespace parity::importer
