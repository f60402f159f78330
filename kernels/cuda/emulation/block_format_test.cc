// Every quantised type, whether the CPU engine computes with it or not: decoded as the reference
// has it, multiplied as its own quantised activations say.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "kernels/cuda/cuda_backend.h"
#include "kernels/cuda/emulation/emulated_device.h"
#include "kernels/dtype.h"
#include "kernels/half.h"
#include "kernels/reference/dequantize.h"

namespace parity::kernels::cuda {
namespace {

constexpr int64_t kOutputs = 6;
constexpr int64_t kInputs = 768;  // three super-blocks; more chunks than one pass of a warp's lanes
                                  // in no type, so lanes without work too

// Byte offsets of a block's halves; MXFP4's scale is a byte.
std::vector<int> HalvesOf(DType dtype) {
  switch (dtype) {
    case DType::kQ4_1:
    case DType::kQ5_1:
    case DType::kQ4_K:
    case DType::kQ5_K:
      return {0, 2};
    case DType::kQ2_K:
      return {80, 82};
    case DType::kQ3_K:
      return {108};
    case DType::kQ6_K:
      return {208};
    case DType::kMXFP4:
      return {};
    default:
      return {0};
  }
}

std::vector<uint8_t> RandomBlocks(DType dtype, uint32_t seed) {
  std::mt19937 random(seed);
  const DTypeTraits& traits = Traits(dtype);
  std::vector<uint8_t> bytes(kOutputs * RowBytes(dtype, kInputs));
  for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random());
  for (size_t block = 0; block < bytes.size(); block += traits.block_bytes) {
    for (int at : HalvesOf(dtype)) {
      const float scale = (static_cast<float>(random() >> 8) * 0x1p-23f - 1.0f) * 0x1p-5f;
      const uint16_t half = FloatToHalf(scale);
      std::memcpy(bytes.data() + block + at, &half, sizeof(half));
    }
    // Around 2^-6, and once each of the two exponents that are subnormal.
    if (dtype == DType::kMXFP4) bytes[block] = block < 34 ? block / 17 : 120 + bytes[block] % 4;
  }
  return bytes;
}

class BlockFormatTest : public ::testing::TestWithParam<DType> {
 protected:
  BlockFormatTest() : bytes_(RandomBlocks(GetParam(), 7)) {
    weight_ = *backend_.LoadWeight({"w", GetParam(), kOutputs, kInputs, bytes_});
    values_.resize(kOutputs * kInputs);
    Dequantize(GetParam(), bytes_.data(), kOutputs * kInputs, values_.data());
  }

  CudaBackend backend_{std::make_unique<emulation::EmulatedDevice>(emulation::EmulatedOptions{}),
                       CudaBackendOptions{}};
  const std::vector<uint8_t> bytes_;
  std::unique_ptr<Weight> weight_;
  std::vector<float> values_;
};

TEST_P(BlockFormatTest, DecodesAsTheReference) {
  auto buffer = *backend_.NewBuffer(kOutputs * kInputs);
  const Matrix out = {buffer->data(), kOutputs, kInputs};
  backend_.Embed(*weight_, {0, 1, 2, 3, 4, 5}, out);
  std::vector<float> decoded(values_.size());
  backend_.Read(out, absl::MakeSpan(decoded));
  for (size_t i = 0; i < values_.size(); ++i) ASSERT_EQ(decoded[i], values_[i]) << i;
}

// The activations as QuantizeRows promises them, the product in double: what is left is the order
// of a few float sums.
TEST_P(BlockFormatTest, MultipliesItsOwnActivations) {
  std::mt19937 random(11);
  std::vector<float> x(kInputs), quantised(kInputs);
  for (float& v : x) v = (static_cast<float>(random() >> 8) * 0x1p-23f - 1.0f) * 3.0f;
  for (int64_t b = 0; b < kInputs; b += 32) {
    float most = 0;
    for (int64_t k = b; k < b + 32; ++k) most = std::max(most, std::fabs(x[k]));
    for (int64_t k = b; k < b + 32; ++k) {
      quantised[k] = most / 127.0f * std::nearbyint(x[k] * (127.0f / most));
    }
  }
  auto buffer = *backend_.NewBuffer(kInputs + kOutputs);
  const Matrix input = {buffer->data(), 1, kInputs};
  const Matrix out = {buffer->data() + kInputs, 1, kOutputs};
  backend_.Tap(input, true, [&](absl::Span<float> to, int64_t, int64_t) {
    std::copy(x.begin(), x.end(), to.begin());
    return absl::OkStatus();
  });
  backend_.MatMul(*weight_, input, out);
  std::vector<float> products(kOutputs);
  backend_.Read(out, absl::MakeSpan(products));
  ASSERT_TRUE(backend_.TakeStatus().ok());
  for (int64_t r = 0; r < kOutputs; ++r) {
    double expected = 0, magnitude = 0;
    for (int64_t k = 0; k < kInputs; ++k) {
      const double product = static_cast<double>(values_[r * kInputs + k]) * quantised[k];
      expected += product;
      magnitude += std::fabs(product);
    }
    // A type with minima adds d q and m, each up to some times their sum.
    const double cancelled = Traits(GetParam()).name[3] == '1' || GetParam() == DType::kQ2_K ||
                                     GetParam() == DType::kQ4_K || GetParam() == DType::kQ5_K
                                 ? 4
                                 : 1;
    EXPECT_NEAR(products[r], expected, 16 * 0x1p-24 * cancelled * magnitude) << r;
  }
}

INSTANTIATE_TEST_SUITE_P(Types, BlockFormatTest,
                         ::testing::Values(DType::kQ4_0, DType::kQ4_1, DType::kQ5_0, DType::kQ5_1,
                                           DType::kQ8_0, DType::kQ2_K, DType::kQ3_K, DType::kQ4_K,
                                           DType::kQ5_K, DType::kQ6_K, DType::kIQ4_NL,
                                           DType::kMXFP4),
                         [](const auto& info) { return std::string(Traits(info.param).name); });

// The body and the side of each type are what its Format reads (weight_view.h).
TEST(BlockCutTest, LeavesABodyOfWholeLoads) {
  for (const DTypeTraits& traits : AllDTypes()) {
    const BlockCut cut = CutOf(traits.dtype);
    if (traits.block_elements == 1) {
      EXPECT_EQ(cut.side_bytes, 0) << traits.name;
      continue;
    }
    EXPECT_EQ((traits.block_bytes - cut.side_bytes) % 16, 0) << traits.name;
    EXPECT_TRUE(cut.side_at == 0 || cut.side_at + cut.side_bytes == traits.block_bytes)
        << traits.name;
  }
}

}  // namespace
}  // namespace parity::kernels::cuda
