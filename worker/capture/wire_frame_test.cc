#include "worker/capture/wire_frame.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "proto/tensor/values.h"
#include "tests/testing/status_matchers.h"

namespace parity::capture {
namespace {

std::string Encode(const TensorHeader& header, const std::vector<float>& values) {
  std::string out(EncodedBytes(header, static_cast<int64_t>(values.size())), '?');
  const char* const end = EncodeTensor(header, values, out.data());
  EXPECT_EQ(end - out.data(), static_cast<int64_t>(out.size()));
  return out;
}

// What protobuf itself makes of the same tensor.
v1::Frame Expected(const TensorHeader& header, const std::vector<float>& values) {
  v1::Frame frame;
  v1::Tensor& tensor = *frame.add_tensors();
  tensor.set_checkpoint(std::string(header.checkpoint));
  tensor.set_dtype(v1::DTYPE_F32);
  if (header.heads > 0) tensor.add_shape(header.heads);
  tensor.add_shape(header.total_elements / std::max(header.heads, 1));
  tensor.set_data(values.data(), values.size() * sizeof(float));
  tensor.set_total_elements(header.total_elements);
  tensor.set_xxh3(tensor::Checksum(tensor.data()));
  tensor.set_not_substituted(header.not_substituted);
  return frame;
}

TEST(WireFrameTest, ATensorIsEncodedByteForByteAsProtobufDoes) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (const int64_t elements : {1, 2, 31, 32, 127, 128, 576, 4096, 5000, 49152, 600'000}) {
    for (const int32_t heads : {0, 1, 9, 300}) {
      for (const bool not_substituted : {false, true}) {
        const int64_t total = heads > 0 ? elements * heads : elements;
        const TensorHeader header = {"layer.3.attn.q_rope", heads, total, not_substituted};
        std::vector<float> values(elements, 0.25f);  // with heads: a prefix
        values.back() = nan;
        EXPECT_EQ(Encode(header, values), Expected(header, values).SerializeAsString())
            << elements << " elements, " << heads << " heads";
      }
    }
  }
}

TEST(WireFrameTest, ATensorIsTheSameWhereverItIsWrittenAndTouchesNothingElse) {
  constexpr size_t kRoom = 256;
  for (const int64_t elements : {16, 63, 64, 65, 79, 80, 192, 577}) {
    std::vector<float> values(elements);
    std::iota(values.begin(), values.end(), 1.5f);
    const TensorHeader header = {"embed", 0, elements, false};
    const std::string expected = Expected(header, values).SerializeAsString();
    std::vector<char> memory(expected.size() + 2 * kRoom);
    for (size_t shift = 0; shift < 64; ++shift) {  // a cache line
      std::fill(memory.begin(), memory.end(), '?');
      char* const begin = memory.data() + kRoom / 2 + shift;
      ASSERT_EQ(EncodeTensor(header, values, begin), begin + expected.size());
      const std::string before(memory.data(), begin);
      const std::string after(begin + expected.size(), memory.data() + memory.size());
      EXPECT_EQ(std::string(begin, expected.size()), expected) << elements << " at " << shift;
      EXPECT_EQ(before, std::string(before.size(), '?')) << elements << " at " << shift;
      EXPECT_EQ(after, std::string(after.size(), '?')) << elements << " at " << shift;
    }
  }
}

TEST(WireFrameTest, AnEncodedTensorIsValid) {
  const TensorHeader header = {"logits", 0, 3, false};
  v1::Frame frame;
  ASSERT_TRUE(frame.ParseFromString(Encode(header, {1, 2, 3})));
  EXPECT_OK(tensor::Validate(frame.tensors(0)));
}

TEST(WireFrameTest, PiecesThatTouchBecomeOne) {
  const auto owner = std::make_shared<const std::string>("abcdefgh");
  const std::shared_ptr<const char> memory(owner, owner->data());
  const absl::string_view text = *owner;
  WireFrame frame;
  frame.Append(text.substr(0, 2), 1, memory);
  frame.Append(text.substr(2, 3), 1, memory);
  frame.Append(text.substr(6, 2), 1, memory);
  ASSERT_EQ(frame.pieces().size(), 2);
  EXPECT_EQ(frame.pieces()[0], "abcde");
  EXPECT_EQ(frame.pieces()[1], "gh");
  EXPECT_EQ(frame.bytes(), 7);
  EXPECT_EQ(frame.tensors(), 3);
}

TEST(WireFrameTest, TheMemoryLivesAsLongAsTheFrame) {
  auto owner = std::make_shared<const std::string>("x");
  const std::weak_ptr<const std::string> watch = owner;
  auto frame = std::make_unique<WireFrame>();
  frame->Append(*owner, 0, std::shared_ptr<const char>(owner, owner->data()));
  owner.reset();
  EXPECT_FALSE(watch.expired());
  frame.reset();
  EXPECT_TRUE(watch.expired());
}

TEST(WireFrameTest, AMessageComesBackAsItWas) {
  v1::Frame frame = Expected({"embed", 0, 4, false}, {1, 2, 3, 4});
  frame.set_position(9);
  frame.set_input_token_id(-1);
  frame.set_chosen_token_id(0);
  frame.set_chosen_text("\xF0\x9F");
  const WireFramePtr wire = WireFrame::From(frame);
  EXPECT_EQ(wire->tensors(), 1);
  EXPECT_EQ(wire->bytes(), static_cast<int64_t>(frame.ByteSizeLong()));
  EXPECT_EQ(wire->Parse().SerializeAsString(), frame.SerializeAsString());
}

}  // namespace
}  // namespace parity::capture
