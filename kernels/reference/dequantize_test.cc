// Against libggml's own to_float on random blocks of every type.
#include "kernels/reference/dequantize.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <random>
#include <vector>

#include "ggml.h"
#include "gtest/gtest.h"

namespace parity::kernels {
namespace {

class DequantizeTest : public testing::TestWithParam<DType> {};

TEST_P(DequantizeTest, EveryBitIsGgmls) {
  const DTypeTraits& traits = Traits(GetParam());
  const ggml_type_traits* ggml = ggml_get_type_traits(static_cast<ggml_type>(GetParam()));
  EXPECT_EQ(ggml->blck_size, traits.block_elements);
  EXPECT_EQ(static_cast<int>(ggml->type_size), traits.block_bytes);
  std::mt19937 random(7);
  for (int round = 0; round < 64; ++round) {
    const int64_t elements = 2 * traits.block_elements;
    std::vector<uint8_t> bytes(RowBytes(GetParam(), elements));
    for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random());
    std::vector<float> ours(elements), theirs(elements);
    Dequantize(GetParam(), bytes.data(), elements, ours.data());
    if (ggml->to_float != nullptr) {
      ggml->to_float(bytes.data(), theirs.data(), elements);
    } else {
      std::memcpy(theirs.data(), bytes.data(), bytes.size());  // F32
    }
    for (int64_t i = 0; i < elements; ++i) {
      if (std::isnan(theirs[i])) {
        EXPECT_TRUE(std::isnan(ours[i])) << i;
      } else {
        EXPECT_EQ(std::bit_cast<uint32_t>(ours[i]), std::bit_cast<uint32_t>(theirs[i]))
            << traits.name << " value " << i << ": " << ours[i] << ", ggml " << theirs[i];
      }
    }
  }
}

std::vector<DType> Everything() {
  std::vector<DType> types;
  for (const DTypeTraits& traits : AllDTypes()) types.push_back(traits.dtype);
  return types;
}

INSTANTIATE_TEST_SUITE_P(AllTypes, DequantizeTest, testing::ValuesIn(Everything()),
                         [](const auto& info) { return std::string(Traits(info.param).name); });

}  // namespace
}  // namespace parity::kernels
