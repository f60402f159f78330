#include "worker/stream/collector_store.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"
#include "worker/stream/capture_reader.h"
#include "worker/stream/fake_collector.h"

namespace parity::stream {
namespace {

using parity::testing::StatusIs;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

const std::atomic<bool> kGo{false};

void AddToken(v1::GetRunResponse& run, const std::string& team, int32_t position, int32_t id,
              v1::Phase phase = v1::PHASE_UNSPECIFIED) {
  v1::TokenRecord& token = *run.add_tokens();
  token.set_team(team);
  token.set_position(position);
  token.set_input_token_id(id);
  token.set_phase(phase);
}

v1::GetRunResponse RunOf(const std::vector<std::string>& teams) {
  v1::GetRunResponse run;
  run.mutable_run()->set_name("r");
  for (const std::string& team : teams) run.mutable_run()->add_captures()->set_team(team);
  return run;
}

TEST(CollectorStoreTest, AShadowFollowsTheTeamsOwnIdsAndPhases) {
  v1::GetRunResponse run = RunOf({"a", "b"});
  AddToken(run, "a", 0, 10, v1::PHASE_PREFILL);
  AddToken(run, "a", 1, 11, v1::PHASE_DECODE);
  AddToken(run, "b", 0, 99);
  ASSERT_OK_AND_ASSIGN(const capture::ShadowPlan plan, PlanFrom(run, "a"));
  EXPECT_THAT(plan.ids, ElementsAre(10, 11));
  EXPECT_THAT(plan.phases, ElementsAre(v1::PHASE_PREFILL, v1::PHASE_DECODE));
}

TEST(CollectorStoreTest, UnknownIdsComeFromTeamsThatAgree) {
  v1::GetRunResponse run = RunOf({"log", "b", "c"});
  for (int position = 0; position < 4; ++position) AddToken(run, "log", position, -1);
  AddToken(run, "b", 0, 10);
  AddToken(run, "b", 1, 11);
  AddToken(run, "b", 2, 12);
  AddToken(run, "c", 0, 10);
  AddToken(run, "c", 1, 77);
  ASSERT_OK_AND_ASSIGN(const capture::ShadowPlan plan, PlanFrom(run, "log"));
  EXPECT_THAT(plan.ids, ElementsAre(10, -1, 12, -1));
}

TEST(CollectorStoreTest, WhatCannotBeFollowedIsSaid) {
  v1::GetRunResponse run = RunOf({"a", "b"});
  EXPECT_THAT(PlanFrom(run, "z"), StatusIs(absl::StatusCode::kNotFound, HasSubstr("'z'")));
  EXPECT_THAT(PlanFrom(run, "a"),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("r/a")));
  AddToken(run, "b", 2'000'000'000, 1);
  EXPECT_THAT(PlanFrom(run, "b"),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("2000000000")));
}

TEST(CollectorStoreTest, ReadsTheRunAndItsFrames) {
  FakeCollector collector;
  collector.run = RunOf({"a"});
  AddToken(collector.run, "a", 0, 5);
  for (int position = 0; position < 3; ++position) {
    collector.recorded.emplace_back().set_position(position);
  }
  CollectorStore store(collector.NewChannel(), {});
  ASSERT_OK(store.PlanShadow("r", "a"));
  EXPECT_THAT(store.PlanShadow("q", "a"), StatusIs(absl::StatusCode::kNotFound, HasSubstr("q")));
  ASSERT_OK_AND_ASSIGN(auto source, store.OpenShadow("r", "a"));
  for (int position = 0; position < 3; ++position) {
    ASSERT_OK_AND_ASSIGN(const auto frame, source->Next(kGo));
    ASSERT_TRUE(frame.has_value());
    EXPECT_EQ(frame->position(), position);
  }
  ASSERT_OK_AND_ASSIGN(const auto end, source->Next(kGo));
  EXPECT_FALSE(end.has_value());
}

TEST(CollectorStoreTest, ACollectorThatIsAwayIsUnavailable) {
  FakeCollector collector;
  StreamOptions options;
  options.open_timeout = absl::Milliseconds(200);
  CollectorStore store(collector.NewChannel(), options);
  collector.Die();
  EXPECT_EQ(store.PlanShadow("r", "a").status().code(), absl::StatusCode::kUnavailable);
}

TEST(CaptureReaderTest, ReadsAheadAtMostItsBytes) {
  FakeCollector collector;
  for (int position = 0; position < 400; ++position) {
    v1::Frame& frame = collector.recorded.emplace_back();
    frame.set_position(position);
    frame.set_chosen_text(std::string(100'000, 'x'));
  }
  CaptureReader reader(collector.NewChannel(), {}, /*ahead_bytes=*/500'000);
  ASSERT_OK(reader.Next(kGo));
  absl::SleepFor(absl::Milliseconds(300));
  // What gRPC itself keeps in flight comes on top: its windows and socket buffers, a few MB; 40 MB
  // are recorded.
  EXPECT_LT(collector.recorded_sent, 200);
  for (int position = 1; position < 400; ++position) {
    ASSERT_OK_AND_ASSIGN(const auto frame, reader.Next(kGo));
    ASSERT_EQ(frame->position(), position);
  }
}

TEST(CaptureReaderTest, AnErrorNamesTheCapture) {
  FakeCollector collector;
  collector.refuse_code = grpc::StatusCode::NOT_FOUND;
  v1::ReadCaptureRequest request;
  request.set_run("r");
  request.set_team("t");
  CaptureReader reader(collector.NewChannel(), request);
  EXPECT_THAT(reader.Next(kGo), StatusIs(absl::StatusCode::kNotFound, HasSubstr("reading r/t")));
}

TEST(CaptureReaderTest, StopEndsTheWait) {
  FakeCollector collector;
  collector.hold = true;
  CaptureReader reader(collector.NewChannel(), {});
  const std::atomic<bool> stop{true};
  EXPECT_EQ(reader.Next(stop).status().code(), absl::StatusCode::kCancelled);
}

}  // namespace
}  // namespace parity::stream
