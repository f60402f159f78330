#include "worker/capture/capture_observer.h"

#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "proto/tensor/values.h"
#include "proto/text/capture_choice.h"
#include "tests/testing/status_matchers.h"

namespace parity::capture {
namespace {

using checkpoint::Stage;

class KeepingSink : public FrameSink {
 public:
  absl::Status WaitForRoom(int64_t, const std::atomic<bool>&) override { return absl::OkStatus(); }
  int64_t capacity_bytes() const override { return 1 << 30; }
  void Push(WireFramePtr frame) override { frames.push_back(frame->Parse()); }
  CaptureResult Finish(absl::string_view) override { return {}; }

  std::vector<v1::Frame> frames;
};

Selection Everything(int32_t layers) {
  std::vector<checkpoint::Name> names = {{Stage::kEmbed, -1}};
  for (int32_t layer = 0; layer < layers; ++layer) {
    names.push_back({Stage::kAttnQ, layer});
    names.push_back({Stage::kLayerOut, layer});
  }
  names.push_back({Stage::kLogits, -1});
  return *Selection::Select(text::ParseCaptureChoice("full"), names);
}

engine::MutableTensorView View(std::vector<float>& values, int64_t rows, int32_t heads = 0) {
  return {absl::MakeSpan(values), rows, static_cast<int64_t>(values.size()) / rows, heads};
}

TEST(CaptureObserverTest, EachRowBecomesItsTokensTensorWithItsChecksum) {
  KeepingSink sink;
  CaptureObserver observer(Everything(1), {&sink});
  const std::vector<int32_t> ids = {7, 8};
  ASSERT_OK(observer.BeginStep({5, ids, true}));
  std::vector<float> q = {1, 2, 3, 4, 5, 6, 7, 8};
  ASSERT_OK(observer.Observe(Stage::kAttnQ, 0, View(q, 2, /*heads=*/2)));
  std::vector<float> logits = {9, 10, 11};
  ASSERT_OK(observer.Observe(Stage::kLogits, -1, View(logits, 1)));  // the last row only
  ASSERT_OK(observer.EndStep());
  ASSERT_EQ(sink.frames.size(), 2);
  EXPECT_EQ(sink.frames[0].position(), 5);
  EXPECT_EQ(sink.frames[0].input_token_id(), 7);
  EXPECT_EQ(sink.frames[0].phase(), v1::PHASE_PREFILL);
  ASSERT_EQ(sink.frames[0].tensors_size(), 1);
  ASSERT_EQ(sink.frames[1].tensors_size(), 2);
  const v1::Tensor& tensor = sink.frames[1].tensors(0);
  EXPECT_EQ(tensor.checkpoint(), "layer.0.attn.q");
  EXPECT_EQ(tensor::ShapeToString(tensor.shape()), "[2,2]");
  EXPECT_EQ(tensor::Decode(tensor.dtype(), tensor.data()), (std::vector<float>{5, 6, 7, 8}));
  EXPECT_OK(tensor::Validate(tensor));
  EXPECT_EQ(sink.frames[1].tensors(1).checkpoint(), "logits");
}

TEST(CaptureObserverTest, TensorsComeInForwardOrderWhateverTheGraphs) {
  KeepingSink sink;
  CaptureObserver observer(Everything(2), {&sink});
  const std::vector<int32_t> ids = {1};
  ASSERT_OK(observer.BeginStep({0, ids, false}));
  std::vector<float> value = {1};
  ASSERT_OK(observer.Observe(Stage::kLogits, -1, View(value, 1)));
  ASSERT_OK(observer.Observe(Stage::kLayerOut, 1, View(value, 1)));
  ASSERT_OK(observer.Observe(Stage::kEmbed, -1, View(value, 1)));
  ASSERT_OK(observer.Observe(Stage::kLayerOut, 0, View(value, 1)));
  ASSERT_OK(observer.EndStep());
  std::string order;
  for (const auto& tensor : sink.frames.at(0).tensors()) order += tensor.checkpoint() + " ";
  EXPECT_EQ(order, "embed layer.0.out layer.1.out logits ");
}

TEST(CaptureObserverTest, FramesAreSplitAndTensorsAreNot) {
  KeepingSink sink;
  CaptureObserver observer(Everything(2), {&sink});
  const std::vector<int32_t> ids = {1};
  ASSERT_OK(observer.BeginStep({0, ids, false}));
  std::vector<float> large(100'000, 0.5f);  // 400 kB: two do not fit one frame
  std::vector<float> small(10, 0.5f);
  ASSERT_OK(observer.Observe(Stage::kEmbed, -1, View(small, 1)));
  ASSERT_OK(observer.Observe(Stage::kAttnQ, 0, View(large, 1)));
  ASSERT_OK(observer.Observe(Stage::kLayerOut, 0, View(large, 1)));
  ASSERT_OK(observer.Observe(Stage::kLogits, -1, View(small, 1)));
  ASSERT_OK(observer.EndStep());
  ASSERT_EQ(sink.frames.size(), 2);
  EXPECT_EQ(sink.frames[0].tensors_size(), 2);
  EXPECT_EQ(sink.frames[1].tensors_size(), 2);
  for (const v1::Frame& frame : sink.frames) {
    EXPECT_EQ(frame.position(), 0);
    EXPECT_EQ(frame.input_token_id(), 1);
    for (const v1::Tensor& tensor : frame.tensors()) EXPECT_OK(tensor::Validate(tensor));
  }
}

TEST(CaptureObserverTest, AStepMayFillManyBlocksOfMemoryInAnyOrder) {
  KeepingSink sink;
  CaptureObserver observer(Everything(2), {&sink});
  const std::vector<int32_t> ids = {1, 2};
  const auto values_of = [](Stage stage, int32_t layer) {
    // Two rows; embed's rows are larger than a block, the others fill one by and by.
    std::vector<float> values(stage == Stage::kEmbed ? 2'200'000 : 1'000'000);
    for (size_t i = 0; i < values.size(); ++i) {
      values[i] = static_cast<float>(i) + 1e7f * static_cast<float>(layer);
    }
    return values;
  };
  const std::vector<checkpoint::Name> order = {
      {Stage::kLayerOut, 1}, {Stage::kEmbed, -1}, {Stage::kAttnQ, 0}, {Stage::kLayerOut, 0}};
  for (int step = 0; step < 2; ++step) {
    ASSERT_OK(observer.BeginStep({2 * step, ids, true}));
    for (const checkpoint::Name name : order) {
      std::vector<float> values = values_of(name.stage, name.layer);
      ASSERT_OK(observer.Observe(name.stage, name.layer, View(values, 2)));
    }
    ASSERT_OK(observer.EndStep());
  }
  int tensors = 0;
  for (const v1::Frame& frame : sink.frames) {
    for (const v1::Tensor& tensor : frame.tensors()) {
      ++tensors;
      ASSERT_OK(tensor::Validate(tensor));
      const checkpoint::Name name = *checkpoint::Parse(tensor.checkpoint());
      const std::vector<float> both = values_of(name.stage, name.layer);
      const auto row = both.begin() + (frame.position() % 2) * (both.size() / 2);
      EXPECT_EQ(tensor::Decode(tensor.dtype(), tensor.data()),
                std::vector<float>(row, row + both.size() / 2))
          << tensor.checkpoint() << " at " << frame.position();
    }
  }
  EXPECT_EQ(tensors, 16);
}

TEST(CaptureObserverTest, AStepThatFailedLeavesNothingBehind) {
  KeepingSink sink;
  CaptureObserver observer(Everything(1), {&sink});
  const std::vector<int32_t> ids = {1};
  std::vector<float> value = {1};
  ASSERT_OK(observer.BeginStep({0, ids, false}));
  ASSERT_OK(observer.Observe(Stage::kEmbed, -1, View(value, 1)));
  ASSERT_OK(observer.BeginStep({0, ids, false}));
  ASSERT_OK(observer.EndStep());
  ASSERT_EQ(sink.frames.size(), 1);
  EXPECT_EQ(sink.frames[0].tensors_size(), 0);
}

TEST(CaptureObserverTest, APrefixKeepsTheWholeShape) {
  KeepingSink sink;
  v1::CaptureSpec spec = text::ParseCaptureChoice("logits");
  spec.set_max_elements(2);
  CaptureObserver observer(*Selection::Select(spec, {{Stage::kLogits, -1}}), {&sink});
  const std::vector<int32_t> ids = {1};
  std::vector<float> logits = {1, 2, 3, 4, 5};
  ASSERT_OK(observer.BeginStep({0, ids, false}));
  ASSERT_OK(observer.Observe(Stage::kLogits, -1, View(logits, 1)));
  ASSERT_OK(observer.EndStep());
  const v1::Tensor& tensor = sink.frames.at(0).tensors(0);
  EXPECT_EQ(tensor.data().size(), 8);
  EXPECT_EQ(tensor.total_elements(), 5);
  EXPECT_EQ(tensor::ShapeToString(tensor.shape()), "[5]");
  EXPECT_OK(tensor::Validate(tensor));
}

TEST(CaptureObserverTest, TheChosenTokenFollowsTheLastRowInEverySink) {
  KeepingSink first, second;
  CaptureObserver observer(Everything(1), {&first, &second});
  const std::vector<int32_t> ids = {4, 5, 6};
  ASSERT_OK(observer.BeginStep({10, ids, true}));
  ASSERT_OK(observer.EndStep());
  observer.RecordChosen(77, "\xF0\x9F");
  for (KeepingSink* sink : {&first, &second}) {
    const v1::Frame& frame = sink->frames.back();
    EXPECT_EQ(frame.position(), 12);
    EXPECT_EQ(frame.input_token_id(), 6);
    EXPECT_EQ(frame.chosen_token_id(), 77);
    EXPECT_EQ(frame.chosen_text(), "\xF0\x9F");
    EXPECT_EQ(frame.tensors_size(), 0);
  }
}

}  // namespace
}  // namespace parity::capture
