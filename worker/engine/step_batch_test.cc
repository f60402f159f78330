#include "worker/engine/step_batch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <deque>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "worker/engine/recorder.h"

namespace parity::engine {
namespace {

using ::testing::ElementsAre;

constexpr int32_t kLayers = 2;
const std::vector<checkpoint::Name> kSites = {
    {Stage::kEmbed, -1},   {Stage::kAttnQ, 0},      {Stage::kLayerOut, 0}, {Stage::kAttnQ, 1},
    {Stage::kLayerOut, 1}, {Stage::kFinalNorm, -1}, {Stage::kLogits, -1}};

class NoCache : public kernels::KvCache {
 public:
  int32_t capacity() const override { return 100; }
  int64_t resident_bytes() const override { return 0; }
};

// Sequences whose first id, position and place all say which one it is: sequence i starts at
// position 10 i with id 100 i.
class StepBatchTest : public ::testing::Test {
 protected:
  using Wants = std::function<bool(Stage, int32_t)>;

  Sequence& Add(int32_t rows, LogitsWanted logits, Wants wants = nullptr) {
    const int32_t i = static_cast<int32_t>(sequences_.size());
    std::vector<int32_t>& ids = ids_.emplace_back();
    for (int32_t t = 0; t < rows; ++t) ids.push_back(100 * i + t);
    options_.push_back({.logits = logits});
    Recorder* recorder = nullptr;
    if (wants != nullptr) {
      recorders_.push_back(std::make_unique<Recorder>(std::move(wants)));
      recorder = recorders_.back().get();
    }
    sequences_.push_back(std::make_unique<Sequence>(member_, cache_, 10 * i, ids, options_.back(),
                                                    recorder, LogitsPlace()));
    sequences_.back()->rows = rows;
    return *sequences_.back();
  }

  StepBatch Make() {
    std::vector<Sequence*> all;
    for (const auto& sequence : sequences_) all.push_back(sequence.get());
    StepBatch::Trim(all);
    for (Sequence* sequence : all) {
      sequence->observed.emplace(sequence->observer, TapModel{kLayers, 1, 1}, kSites);
    }
    return StepBatch(all, kLayers);
  }

  StepQueue queue_{{.rows = 100, .shared_rows = 100}, [](auto) {}};
  StepQueue::Member member_{queue_};
  NoCache cache_;
  std::deque<std::vector<int32_t>> ids_;
  std::deque<ForwardOptions> options_;
  std::vector<std::unique_ptr<Recorder>> recorders_;
  std::vector<std::unique_ptr<Sequence>> sequences_;
};

bool LogitsOnly(Stage stage, int32_t) { return stage == Stage::kLogits; }
bool LastLayer(Stage, int32_t layer) { return layer == kLayers - 1; }
bool FirstLayer(Stage, int32_t layer) { return layer == 0; }

TEST_F(StepBatchTest, AloneOnlyTheLastRowGoesThroughTheHead) {
  Sequence& sequence = Add(3, LogitsWanted::kLast);
  const StepBatch batch = Make();
  EXPECT_EQ(sequence.rows, 3);
  EXPECT_TRUE(sequence.wants_logits());
  EXPECT_THAT(batch.ids(), ElementsAre(0, 1, 2));
  EXPECT_EQ(batch.last_layer_skip(), 2);
  EXPECT_EQ(batch.head_skip(), 2);
}

TEST_F(StepBatchTest, WhatIsObservedIsComputed) {
  Add(3, LogitsWanted::kNone, LastLayer);
  EXPECT_EQ(Make().last_layer_skip(), 0);
  EXPECT_EQ(Make().head_skip(), 3);
  sequences_.clear();
  Add(3, LogitsWanted::kNone, LogitsOnly);
  EXPECT_EQ(Make().head_skip(), 0);
  sequences_.clear();
  Add(3, LogitsWanted::kNone, FirstLayer);
  EXPECT_EQ(Make().last_layer_skip(), 3);
}

TEST_F(StepBatchTest, RowsThatEndEarlierStandEarlier) {
  Sequence& decode = Add(1, LogitsWanted::kLast);
  Sequence& watched = Add(2, LogitsWanted::kNone, LogitsOnly);
  Sequence& last_layer = Add(2, LogitsWanted::kNone, LastLayer);
  Sequence& piece = Add(3, LogitsWanted::kNone);
  const StepBatch batch = Make();
  EXPECT_THAT(batch.ids(), ElementsAre(300, 301, 302, 200, 201, 0, 100, 101));
  EXPECT_THAT(batch.positions(), ElementsAre(30, 31, 32, 20, 21, 0, 10, 11));
  EXPECT_EQ(batch.places()[3].position, 20);
  EXPECT_EQ(batch.last_layer_skip(), 3);
  EXPECT_EQ(batch.head_skip(), 5);
  EXPECT_EQ(piece.observed->first_row, 0);
  EXPECT_EQ(last_layer.observed->first_row, 3);
  EXPECT_EQ(decode.observed->first_row, 5);
  EXPECT_EQ(watched.observed->first_row, 6);
  EXPECT_EQ(watched.observed->rows, 2);
}

TEST_F(StepBatchTest, APromptThatEndsBesideDecodersStaysWhole) {
  Add(1, LogitsWanted::kLast);
  Sequence& prompt = Add(4, LogitsWanted::kLast);
  Add(1, LogitsWanted::kLast);
  const StepBatch batch = Make();
  EXPECT_EQ(prompt.rows, 4);
  EXPECT_THAT(batch.ids(), ElementsAre(100, 101, 102, 103, 0, 200));
  EXPECT_EQ(batch.head_skip(), 3);
}

TEST_F(StepBatchTest, PromptsThatEndTogetherLeaveTheirLastRows) {
  Sequence& one = Add(4, LogitsWanted::kLast);
  Sequence& other = Add(2, LogitsWanted::kLast, LogitsOnly);
  const StepBatch batch = Make();
  EXPECT_EQ(one.rows, 3);
  EXPECT_FALSE(one.wants_logits());
  EXPECT_EQ(other.rows, 1);
  EXPECT_FALSE(other.wants_logits());
  EXPECT_THAT(batch.ids(), ElementsAre(0, 1, 2, 100));
  EXPECT_EQ(batch.head_skip(), 3);
}

TEST_F(StepBatchTest, WhoIsToldToStopIsShownNothingMore) {
  std::atomic<bool> stop{false};
  Sequence& stopping = Add(1, LogitsWanted::kLast);
  options_.back().stop = &stop;
  Sequence& other = Add(1, LogitsWanted::kLast);
  StepBatch batch = Make();
  EXPECT_TRUE(batch.Alive());
  stop = true;
  EXPECT_TRUE(batch.Alive());
  EXPECT_EQ(stopping.status.code(), absl::StatusCode::kCancelled);
  EXPECT_TRUE(stopping.observed->muted());
  EXPECT_TRUE(other.status.ok());
  options_.back().stop = &stop;
  EXPECT_FALSE(batch.Alive());
}

}  // namespace
}  // namespace parity::engine
