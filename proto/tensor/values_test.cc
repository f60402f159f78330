#include "proto/tensor/values.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

namespace parity::tensor {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

template <typename T>
std::string Bytes(const std::vector<T>& values) {
  return std::string(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T));
}

// All 65536 patterns of a 16-bit type.
std::string EveryPattern() {
  std::vector<uint16_t> patterns(65536);
  for (size_t i = 0; i < patterns.size(); ++i) patterns[i] = static_cast<uint16_t>(i);
  return Bytes(patterns);
}

v1::Tensor Good() {
  v1::Tensor tensor;
  tensor.set_checkpoint("layer.0.attn.q");
  tensor.set_dtype(v1::DTYPE_F32);
  tensor.add_shape(2);
  tensor.add_shape(3);
  tensor.set_data(Bytes<float>({1, 2, 3, 4, 5, 6}));
  tensor.set_total_elements(6);
  tensor.set_xxh3(Checksum(tensor.data()));
  return tensor;
}

TEST(TensorValuesTest, EveryHalfDecodesToItsValue) {
  const std::vector<float> decoded = Decode(v1::DTYPE_F16, EveryPattern());
  ASSERT_EQ(decoded.size(), 65536u);
  for (uint32_t i = 0; i < 65536; ++i) {
    const double sign = (i & 0x8000) != 0 ? -1 : 1;
    const int exponent = (i >> 10) & 31;
    const double mantissa = i & 1023;
    if (exponent == 31) {
      if (mantissa != 0) {
        EXPECT_TRUE(std::isnan(decoded[i])) << i;
      } else {
        EXPECT_EQ(decoded[i], sign * std::numeric_limits<float>::infinity()) << i;
      }
      continue;
    }
    // The definition of binary16, in double.
    const double expected = exponent == 0 ? sign * std::ldexp(mantissa, -24)
                                          : sign * std::ldexp(1024 + mantissa, exponent - 25);
    EXPECT_EQ(decoded[i], expected) << i;
    EXPECT_EQ(std::signbit(decoded[i]), (i & 0x8000) != 0) << i;
  }
}

TEST(TensorValuesTest, PortableAndVectorHalfGiveTheSameBits) {
  // One element at a time takes the portable tail, the whole buffer the vector body.
  const std::string bytes = EveryPattern();
  const std::vector<float> whole = Decode(v1::DTYPE_F16, bytes);
  for (size_t i = 0; i < whole.size(); ++i) {
    float one = 0;
    DecodeTo(v1::DTYPE_F16, absl::string_view(bytes).substr(2 * i, 2), &one);
    ASSERT_EQ(std::bit_cast<uint32_t>(one), std::bit_cast<uint32_t>(whole[i])) << i;
  }
}

TEST(TensorValuesTest, EveryBrainFloatIsTheUpperHalfOfAFloat) {
  const std::vector<float> decoded = Decode(v1::DTYPE_BF16, EveryPattern());
  for (uint32_t i = 0; i < 65536; ++i) {
    ASSERT_EQ(std::bit_cast<uint32_t>(decoded[i]), i << 16);
  }
}

TEST(TensorValuesTest, ChecksumIsXxh3) {
  // Published vectors of XXH3-64 with seed 0.
  EXPECT_EQ(Checksum(""), 0x2d06800538d394c2u);
  EXPECT_EQ(Checksum("abc"), 0x78af5f94892f3950u);
}

TEST(TensorValuesTest, DTypeNames) {
  for (const char* text : {"F32", "f32", "fp32", "float32", "torch.float32", " float "}) {
    EXPECT_EQ(ParseDType(text), v1::DTYPE_F32) << text;
  }
  EXPECT_EQ(ParseDType("torch.float16"), v1::DTYPE_F16);
  EXPECT_EQ(ParseDType("bfloat16"), v1::DTYPE_BF16);
  EXPECT_EQ(ParseDType("int8"), v1::DTYPE_UNSPECIFIED);
  EXPECT_EQ(DTypeName(v1::DTYPE_BF16), "BF16");
  EXPECT_EQ(ElementBytes(static_cast<v1::DType>(99)), 0);
}

TEST(TensorValuesTest, Shapes) {
  EXPECT_THAT(*ParseShape("[1,151936]"), ElementsAre(1, 151936));
  EXPECT_THAT(*ParseShape(" [ 9 , 64 ] "), ElementsAre(9, 64));
  EXPECT_THAT(*ParseShape("576"), ElementsAre(576));
  for (const char* text :
       {"", "[]", "[1", "1]", "[1,]", "[a]", "[-1]", "[+1]", "[0]", "[1 2]", "[1,2,3,4,5]", "[1.5]",
        "[99999999999999999999]", "[1048576,1048576,2]", "[[1]]"}) {
    EXPECT_EQ(ParseShape(text).status().code(), absl::StatusCode::kInvalidArgument) << text;
  }
  EXPECT_EQ(*CheckedElements({9, 64}), 576);
  EXPECT_EQ(*CheckedElements({1 << 20, 1 << 20}), int64_t{1} << 40);
  EXPECT_FALSE(CheckedElements({std::numeric_limits<int64_t>::max(), 3}).ok());
  EXPECT_EQ(ShapeToString({9, 64}), "[9,64]");
}

TEST(TensorValuesTest, GoodTensorsAreValid) {
  EXPECT_TRUE(Validate(Good()).ok());
  v1::Tensor no_total = Good();
  no_total.set_total_elements(0);
  EXPECT_TRUE(Validate(no_total).ok());
  v1::Tensor prefix = Good();
  prefix.set_data(prefix.data().substr(0, 8));
  prefix.set_xxh3(Checksum(prefix.data()));
  EXPECT_TRUE(Validate(prefix).ok());
}

// Each row damages a good tensor in one way.
struct Damage {
  const char* message;
  void (*apply)(v1::Tensor*);
};

class ValidateTest : public ::testing::TestWithParam<Damage> {};

TEST_P(ValidateTest, RefusesWithTheReason) {
  v1::Tensor tensor = Good();
  GetParam().apply(&tensor);
  tensor.set_xxh3(Checksum(tensor.data()));
  const absl::Status status = Validate(tensor);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr(GetParam().message));
}

INSTANTIATE_TEST_SUITE_P(
    Damages, ValidateTest,
    ::testing::Values(
        Damage{"checkpoint name", [](v1::Tensor* t) { t->set_checkpoint("a b"); }},
        Damage{"dtype 0", [](v1::Tensor* t) { t->set_dtype(v1::DTYPE_UNSPECIFIED); }},
        Damage{"dtype 77", [](v1::Tensor* t) { t->set_dtype(static_cast<v1::DType>(77)); }},
        Damage{"0 sizes", [](v1::Tensor* t) { t->clear_shape(); }},
        Damage{"below 1", [](v1::Tensor* t) { t->set_shape(0, -2); }},
        Damage{"2^40", [](v1::Tensor* t) { t->set_shape(0, int64_t{1} << 62); }},
        Damage{"0 bytes", [](v1::Tensor* t) { t->clear_data(); }},
        Damage{"23 bytes", [](v1::Tensor* t) { t->mutable_data()->pop_back(); }},
        Damage{"7 elements", [](v1::Tensor* t) { t->mutable_data()->append(4, 'x'); }},
        Damage{"total_elements 5", [](v1::Tensor* t) { t->set_total_elements(5); }},
        Damage{"5 elements",
               [](v1::Tensor* t) {
                 t->set_total_elements(0);
                 t->mutable_data()->resize(20);
               }},
        Damage{"at most", [](v1::Tensor* t) { t->mutable_data()->resize(kMaxTensorBytes + 4); }}));

TEST(TensorValuesTest, AChangedBitIsDataLoss) {
  v1::Tensor tensor = Good();
  (*tensor.mutable_data())[7] ^= 1;
  const absl::Status status = Validate(tensor);
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(status.message()), HasSubstr("layer.0.attn.q"));
}

}  // namespace
}  // namespace parity::tensor
