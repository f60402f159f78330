#include "worker/capture/shadow_observer.h"

#include <deque>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "proto/tensor/values.h"
#include "proto/text/capture_choice.h"
#include "tests/testing/status_matchers.h"

namespace parity::capture {
namespace {

using checkpoint::Stage;
using parity::testing::StatusIs;
using ::testing::AllOf;
using ::testing::HasSubstr;

class KeepingSink : public FrameSink {
 public:
  absl::Status WaitForRoom(int64_t, const std::atomic<bool>&) override { return absl::OkStatus(); }
  int64_t capacity_bytes() const override { return 1 << 30; }
  void Push(WireFramePtr frame) override { frames.push_back(frame->Parse()); }
  CaptureResult Finish(absl::string_view) override { return {}; }
  std::vector<v1::Frame> frames;
};

class ListSource : public ShadowSource {
 public:
  absl::StatusOr<std::optional<v1::Frame>> Next(const std::atomic<bool>&) override {
    if (frames.empty()) return std::optional<v1::Frame>();
    v1::Frame frame = std::move(frames.front());
    frames.pop_front();
    return std::optional<v1::Frame>(std::move(frame));
  }
  void Add(int32_t position, const std::string& checkpoint, const std::vector<float>& values,
           int64_t total = 0) {
    v1::Frame frame;
    frame.set_position(position);
    v1::Tensor& tensor = *frame.add_tensors();
    tensor.set_checkpoint(checkpoint);
    tensor.set_dtype(v1::DTYPE_F32);
    tensor.add_shape(total > 0 ? total : static_cast<int64_t>(values.size()));
    tensor.set_data(values.data(), values.size() * sizeof(float));
    tensor.set_total_elements(total);
    tensor.set_xxh3(tensor::Checksum(tensor.data()));
    frames.push_back(std::move(frame));
  }
  std::deque<v1::Frame> frames;
};

class ShadowObserverTest : public ::testing::Test {
 protected:
  ShadowObserverTest() : observer_("r/t", All(), source_, {&sink_}) {}

  static Selection All() {
    return *Selection::Select(text::ParseCaptureChoice("full"),
                              {{Stage::kEmbed, -1}, {Stage::kAttnQ, 0}, {Stage::kLogits, -1}});
  }
  absl::Status Step(int32_t first, std::vector<int32_t> ids) {
    const std::atomic<bool> stop{false};
    absl::Status status = observer_.Prepare(first, ids.size(), stop);
    ids_ = std::move(ids);
    return status.ok() ? observer_.BeginStep({first, ids_, true}) : status;
  }
  absl::Status Observe(Stage stage, int32_t layer, std::vector<float>& values, int64_t rows,
                       int32_t heads = 0) {
    return observer_.Observe(
        stage, layer,
        {absl::MakeSpan(values), rows, static_cast<int64_t>(values.size()) / rows, heads});
  }

  ListSource source_;
  KeepingSink sink_;
  ShadowObserver observer_;
  std::vector<int32_t> ids_;
};

// An engine that serves others as well cuts what was prepared into steps.
TEST_F(ShadowObserverTest, StepsMayBeShorterThanWhatWasPrepared) {
  for (int32_t position = 0; position < 3; ++position) {
    source_.Add(position, "embed", {10.0f * static_cast<float>(position)});
  }
  const std::atomic<bool> stop{false};
  ASSERT_OK(observer_.Prepare(0, 3, stop));
  const std::vector<int32_t> ids = {7, 8, 9};
  std::vector<float> first = {1, 1};
  ASSERT_OK(observer_.BeginStep({0, absl::MakeConstSpan(ids).subspan(0, 2), true}));
  EXPECT_OK(Observe(Stage::kEmbed, -1, first, 2));
  ASSERT_OK(observer_.EndStep());
  std::vector<float> second = {1};
  ASSERT_OK(observer_.BeginStep({2, absl::MakeConstSpan(ids).subspan(2), true}));
  EXPECT_OK(Observe(Stage::kEmbed, -1, second, 1));
  ASSERT_OK(observer_.EndStep());
  EXPECT_EQ(first, (std::vector<float>{0, 10}));
  EXPECT_EQ(second, (std::vector<float>{20}));
  EXPECT_EQ(observer_.counts().substituted, 3);
  ASSERT_EQ(sink_.frames.size(), 3u);
  EXPECT_EQ(sink_.frames[2].input_token_id(), 9);
}

TEST_F(ShadowObserverTest, OursIsRecordedAndTheirsIsReadNext) {
  source_.Add(0, "embed", {1, 2});
  source_.Add(1, "embed", {3, 4});
  ASSERT_OK(Step(0, {5, 6}));
  EXPECT_TRUE(observer_.Substitutes());
  EXPECT_TRUE(observer_.Wants(Stage::kEmbed, -1));
  EXPECT_FALSE(observer_.Wants(Stage::kLogits, -1));
  std::vector<float> values = {10, 20, 30, 40};
  ASSERT_OK(Observe(Stage::kEmbed, -1, values, 2));
  ASSERT_OK(observer_.EndStep());
  EXPECT_EQ(values, (std::vector<float>{1, 2, 3, 4}));
  ASSERT_EQ(sink_.frames.size(), 2);
  const v1::Tensor& second = sink_.frames[1].tensors(0);
  EXPECT_EQ(tensor::Decode(second.dtype(), second.data()), (std::vector<float>{30, 40}));
  EXPECT_FALSE(second.not_substituted());
  EXPECT_EQ(observer_.counts().substituted, 2);
}

TEST_F(ShadowObserverTest, WhatTheyLackIsLeftAloneAndCounted) {
  source_.Add(1, "embed", {3});
  ASSERT_OK(Step(0, {5, 6}));
  std::vector<float> values = {10, 20};
  ASSERT_OK(Observe(Stage::kEmbed, -1, values, 2));
  ASSERT_OK(observer_.EndStep());
  EXPECT_EQ(values, (std::vector<float>{10, 3}));
  EXPECT_EQ(sink_.frames[0].tensors_size(), 0);
  EXPECT_EQ(observer_.counts().missing, 1);
}

TEST_F(ShadowObserverTest, APrefixIsComparedAndNotSubstituted) {
  source_.Add(0, "logits", {1, 2}, /*total=*/4);
  ASSERT_OK(Step(0, {5}));
  std::vector<float> values = {9, 8, 7, 6};
  ASSERT_OK(Observe(Stage::kLogits, -1, values, 1));
  ASSERT_OK(observer_.EndStep());
  EXPECT_EQ(values, (std::vector<float>{9, 8, 7, 6}));
  EXPECT_TRUE(sink_.frames[0].tensors(0).not_substituted());
  EXPECT_EQ(observer_.counts().truncated, 1);
}

TEST_F(ShadowObserverTest, AnotherShapeIsRefusedWithBoth) {
  source_.Add(3, "layer.0.attn.q", {1, 2, 3});
  ASSERT_OK(Step(3, {5}));
  std::vector<float> values = {1, 2, 3, 4};
  EXPECT_THAT(Observe(Stage::kAttnQ, 0, values, 1, 2),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       AllOf(HasSubstr("r/t"), HasSubstr("layer.0.attn.q at position 3"),
                             HasSubstr("[3]"), HasSubstr("[2,2]"))));
}

TEST_F(ShadowObserverTest, FramesOfLaterStepsWait) {
  source_.Add(0, "embed", {1});
  source_.Add(2, "embed", {2});
  ASSERT_OK(Step(0, {5, 6}));
  ASSERT_OK(Step(2, {7}));
  std::vector<float> values = {9};
  ASSERT_OK(Observe(Stage::kEmbed, -1, values, 1));
  EXPECT_EQ(values[0], 2);
}

TEST_F(ShadowObserverTest, OtherNamesAreCountedAndHostileOnesSizeNothing) {
  source_.Add(0, "model.embed_tokens", {1});
  source_.Add(0, "layer.2000000000.out", {1});
  ASSERT_OK(Step(0, {5}));
  EXPECT_FALSE(observer_.Wants(Stage::kEmbed, -1));
  EXPECT_EQ(observer_.counts().unknown, 2);
}

TEST_F(ShadowObserverTest, DamagedDataIsDataLoss) {
  source_.Add(0, "embed", {1});
  source_.frames[0].mutable_tensors(0)->set_xxh3(1);
  EXPECT_THAT(Step(0, {5}), StatusIs(absl::StatusCode::kDataLoss, HasSubstr("r/t at position 0")));
}

TEST_F(ShadowObserverTest, HalfPrecisionIsReadExactly) {
  source_.Add(0, "embed", {1});
  v1::Tensor& tensor = *source_.frames[0].mutable_tensors(0);
  tensor.set_dtype(v1::DTYPE_F16);
  tensor.set_data(std::string("\x00\x3e", 2));  // 1.5
  tensor.set_xxh3(tensor::Checksum(tensor.data()));
  ASSERT_OK(Step(0, {5}));
  std::vector<float> values = {9};
  ASSERT_OK(Observe(Stage::kEmbed, -1, values, 1));
  EXPECT_EQ(values[0], 1.5f);
}

}  // namespace
}  // namespace parity::capture
