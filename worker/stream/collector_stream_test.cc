#include "worker/stream/collector_stream.h"

#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"
#include "worker/stream/fake_collector.h"

namespace parity::stream {
namespace {

using parity::testing::StatusIs;
using ::testing::HasSubstr;

const std::atomic<bool> kGo{false};

capture::WireFramePtr FrameOf(int32_t position, size_t bytes = 100) {
  v1::Frame frame;
  frame.set_position(position);
  v1::Tensor& tensor = *frame.add_tensors();
  tensor.set_checkpoint("logits");
  tensor.set_data(std::string(bytes, static_cast<char>(position)));
  return capture::WireFrame::From(frame);
}

// By how long frames are held back: whatever that is, what arrives and what is counted is the same.
class CollectorStreamTest : public ::testing::TestWithParam<absl::Duration> {
 protected:
  static StreamOptions Quick() {
    StreamOptions options;
    options.open_timeout = absl::Milliseconds(300);
    options.give_up = absl::Milliseconds(400);
    options.hold = GetParam();
    options.first_backoff = absl::Milliseconds(10);
    options.max_backoff = absl::Milliseconds(30);
    return options;
  }

  static absl::StatusOr<std::unique_ptr<CollectorStream>> OpenStream(const FakeCollector& collector,
                                                                     StreamOptions options) {
    v1::IngestRequest::OpenCapture open;
    open.set_run("run");
    open.set_team("team");
    return CollectorStream::Open(collector.NewChannel(), open, options, kGo);
  }
  static absl::StatusOr<std::unique_ptr<CollectorStream>> OpenStream(
      const FakeCollector& collector) {
    return OpenStream(collector, Quick());
  }
};

INSTANTIATE_TEST_SUITE_P(Held, CollectorStreamTest,
                         ::testing::Values(absl::ZeroDuration(), absl::Milliseconds(5),
                                           absl::Hours(1)),
                         [](const ::testing::TestParamInfo<absl::Duration>& info) {
                           return absl::StrCat(absl::ToInt64Milliseconds(info.param), "ms");
                         });

bool ArriveAtLeast(const FakeCollector& collector, size_t count) {
  const absl::Time limit = absl::Now() + absl::Seconds(20);
  while (collector.tensors().size() < count && absl::Now() < limit) {
    absl::SleepFor(absl::Milliseconds(1));
  }
  return collector.tensors().size() >= count;
}

void ExpectCountsAddUp(const capture::CaptureResult& result, int64_t captured) {
  EXPECT_EQ(result.counts.captured(), captured);
  EXPECT_EQ(result.counts.captured(), result.counts.acked() + result.counts.dropped());
}

TEST_P(CollectorStreamTest, EverythingArrivesAndIsSealedComplete) {
  FakeCollector collector;
  ASSERT_OK_AND_ASSIGN(auto stream, OpenStream(collector));
  for (int i = 0; i < 200; ++i) {
    ASSERT_OK(stream->WaitForRoom(200, kGo));
    stream->Push(FrameOf(i));
  }
  const capture::CaptureResult result = stream->Finish("");
  ExpectCountsAddUp(result, 200);
  EXPECT_EQ(result.counts.dropped(), 0);
  EXPECT_EQ(result.status, v1::CAPTURE_STATUS_COMPLETE);
  EXPECT_EQ(collector.tensors().size(), 200);
  EXPECT_EQ(collector.opened().team(), "team");
  ASSERT_EQ(collector.seals().size(), 1);
  EXPECT_EQ(collector.seals()[0].captured(), 200);
}

TEST_P(CollectorStreamTest, ASlowCollectorHoldsBackTheSenderAndBoundsItsMemory) {
  FakeCollector collector;
  collector.frame_delay_us = 500;
  StreamOptions options = Quick();
  options.queue_bytes = 100'000;
  options.give_up = absl::Seconds(20);
  ASSERT_OK_AND_ASSIGN(auto stream, OpenStream(collector, options));
  int64_t most = 0;
  for (int i = 0; i < 300; ++i) {
    ASSERT_OK(stream->WaitForRoom(10'100, kGo));
    stream->Push(FrameOf(i, 10'000));
    most = std::max(most, stream->queued_bytes());
  }
  EXPECT_LE(most, options.queue_bytes);
  const capture::CaptureResult result = stream->Finish("");
  EXPECT_EQ(result.counts.acked(), 300);
  EXPECT_EQ(result.status, v1::CAPTURE_STATUS_COMPLETE);
}

TEST_P(CollectorStreamTest, ABrokenConnectionIsTakenUpAgainAndDuplicatesAreCounted) {
  FakeCollector collector;
  collector.break_after_frames = 5;
  ASSERT_OK_AND_ASSIGN(auto stream, OpenStream(collector));
  for (int i = 0; i < 20; ++i) stream->Push(FrameOf(i));
  const capture::CaptureResult result = stream->Finish("");
  ExpectCountsAddUp(result, 20);
  EXPECT_EQ(result.counts.acked(), 20);
  EXPECT_EQ(result.counts.duplicate(), 5);
  EXPECT_EQ(result.status, v1::CAPTURE_STATUS_COMPLETE);
  EXPECT_EQ(collector.connections(), 2);
}

TEST_P(CollectorStreamTest, ACollectorThatIsAwayCostsTheOpenTimeoutAndEverythingIsCounted) {
  auto collector = std::make_unique<FakeCollector>();
  auto channel = collector->NewChannel();
  collector->Die();
  const absl::Time start = absl::Now();
  ASSERT_OK_AND_ASSIGN(auto stream, CollectorStream::Open(channel, {}, Quick(), kGo));
  for (int i = 0; i < 10; ++i) {
    ASSERT_OK(stream->WaitForRoom(200, kGo));
    stream->Push(FrameOf(i));
  }
  const capture::CaptureResult result = stream->Finish("");
  EXPECT_LT(absl::Now() - start, absl::Seconds(5));
  ExpectCountsAddUp(result, 10);
  EXPECT_EQ(result.counts.dropped(), 10);
  EXPECT_EQ(result.status, v1::CAPTURE_STATUS_INCOMPLETE);
  EXPECT_THAT(result.message, HasSubstr("10 of 10 tensors"));
}

TEST_P(CollectorStreamTest, ACollectorThatDiesMidStreamStopsNobody) {
  FakeCollector collector;
  StreamOptions options = Quick();
  options.queue_bytes = 50'000;
  ASSERT_OK_AND_ASSIGN(auto stream, OpenStream(collector, options));
  for (int i = 0; i < 100; ++i) {
    if (i == 20) collector.Die();
    ASSERT_OK(stream->WaitForRoom(10'100, kGo));
    stream->Push(FrameOf(i, 10'000));
    EXPECT_LE(stream->queued_bytes(), options.queue_bytes * 5 / 4);
  }
  const capture::CaptureResult result = stream->Finish("");
  ExpectCountsAddUp(result, 100);
  EXPECT_GE(result.counts.dropped(), 80);
  EXPECT_EQ(result.status, v1::CAPTURE_STATUS_INCOMPLETE);
}

TEST_P(CollectorStreamTest, AStoppedCollectorThatGoesOnGetsTheRestAndTheExactLoss) {
  FakeCollector collector;
  StreamOptions options = Quick();
  options.queue_bytes = 50'000;
  ASSERT_OK_AND_ASSIGN(auto stream, OpenStream(collector, options));
  collector.hold = true;
  for (int i = 0; i < 50; ++i) {
    ASSERT_OK(stream->WaitForRoom(10'100, kGo));
    stream->Push(FrameOf(i, 10'000));
  }
  collector.hold = false;
  const capture::CaptureResult result = stream->Finish("");
  ExpectCountsAddUp(result, 50);
  EXPECT_GT(result.counts.dropped(), 0);
  EXPECT_EQ(result.counts.acked(), static_cast<int64_t>(collector.tensors().size()));
  EXPECT_EQ(result.status, v1::CAPTURE_STATUS_INCOMPLETE);
  ASSERT_EQ(collector.seals().size(), 1);
  EXPECT_EQ(collector.seals()[0].dropped(), result.counts.dropped());
}

TEST_P(CollectorStreamTest, ARefusedCaptureIsTheCallersError) {
  FakeCollector collector;
  collector.refuse_code = grpc::StatusCode::FAILED_PRECONDITION;
  EXPECT_THAT(OpenStream(collector),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("refused by the test")));
}

TEST_P(CollectorStreamTest, AFullDiskStopsNobody) {
  FakeCollector collector;
  collector.refuse_code = grpc::StatusCode::RESOURCE_EXHAUSTED;
  ASSERT_OK_AND_ASSIGN(auto stream, OpenStream(collector));
  stream->Push(FrameOf(0));
  const capture::CaptureResult result = stream->Finish("");
  ExpectCountsAddUp(result, 1);
  EXPECT_EQ(result.counts.dropped(), 1);
  EXPECT_THAT(result.message, HasSubstr("refused by the test"));
}

TEST_P(CollectorStreamTest, RejectedTensorsAreDroppedNotAcked) {
  FakeCollector collector;
  collector.reject_position = 3;
  ASSERT_OK_AND_ASSIGN(auto stream, OpenStream(collector));
  for (int i = 0; i < 8; ++i) stream->Push(FrameOf(i));
  const capture::CaptureResult result = stream->Finish("");
  ExpectCountsAddUp(result, 8);
  EXPECT_EQ(result.counts.dropped(), 1);
  EXPECT_EQ(result.counts.rejected(), 1);
  EXPECT_EQ(result.status, v1::CAPTURE_STATUS_INCOMPLETE);
  EXPECT_THAT(result.message, HasSubstr("first refusal: rejected by the test"));
}

TEST_P(CollectorStreamTest, TheReasonForAnIncompleteCaptureReachesTheCollector) {
  FakeCollector collector;
  ASSERT_OK_AND_ASSIGN(auto stream, OpenStream(collector));
  stream->Push(FrameOf(0));
  const capture::CaptureResult result = stream->Finish("cancelled");
  EXPECT_EQ(result.status, v1::CAPTURE_STATUS_INCOMPLETE);
  EXPECT_EQ(collector.seals().at(0).incomplete_reason(), "cancelled");
}

TEST_P(CollectorStreamTest, StopEndsTheWaitForRoom) {
  FakeCollector collector;
  StreamOptions options = Quick();
  options.queue_bytes = 1000;
  options.give_up = absl::Seconds(60);
  ASSERT_OK_AND_ASSIGN(auto stream, OpenStream(collector, options));
  collector.hold = true;
  stream->Push(FrameOf(0, 900));
  const std::atomic<bool> stop{true};
  EXPECT_THAT(stream->WaitForRoom(900, stop), StatusIs(absl::StatusCode::kCancelled, "stopped"));
  collector.hold = false;
}

TEST_P(CollectorStreamTest, AStepLargerThanTheQueueGoesThroughAnEmptyOne) {
  FakeCollector collector;
  StreamOptions options = Quick();
  options.queue_bytes = 10'000;
  options.give_up = absl::Seconds(20);
  ASSERT_OK_AND_ASSIGN(auto stream, OpenStream(collector, options));
  for (int step = 0; step < 3; ++step) {
    ASSERT_OK(stream->WaitForRoom(41'000, kGo));
    for (int i = 0; i < 4; ++i) {
      stream->Push(FrameOf(4 * step + i, 10'000));
      absl::SleepFor(absl::Milliseconds(4));  // the sender may look in the middle of a step
    }
  }
  const capture::CaptureResult result = stream->Finish("");
  EXPECT_EQ(result.counts.acked(), 12);
  EXPECT_EQ(result.status, v1::CAPTURE_STATUS_COMPLETE);
}

TEST_P(CollectorStreamTest, WithoutFinishNothingIsSealed) {
  FakeCollector collector;
  {
    ASSERT_OK_AND_ASSIGN(auto stream, OpenStream(collector));
    stream->Push(FrameOf(0));
  }
  EXPECT_TRUE(collector.seals().empty());
}

// What is held back while a connection stands.
class HeldFramesTest : public CollectorStreamTest {
 protected:
  static void Push(CollectorStream& stream, int begin, int end) {
    for (int i = begin; i < end; ++i) {
      ASSERT_OK(stream.WaitForRoom(10'100, kGo));
      stream.Push(FrameOf(i, 10'000));
    }
  }
};

INSTANTIATE_TEST_SUITE_P(Held, HeldFramesTest, ::testing::Values(absl::Hours(1)));

TEST_P(HeldFramesTest, NothingIsSentUntilTheQueueIsHalfFullAndThenAllOfIt) {
  FakeCollector collector;
  StreamOptions options = Quick();
  options.queue_bytes = 100'000;
  options.give_up = absl::Seconds(20);
  ASSERT_OK_AND_ASSIGN(auto stream, OpenStream(collector, options));
  Push(*stream, 0, 5);  // the fifth looks before it is there
  absl::SleepFor(absl::Milliseconds(50));
  EXPECT_TRUE(collector.tensors().empty());
  EXPECT_GT(stream->queued_bytes(), 40'000);
  Push(*stream, 5, 6);
  ASSERT_OK(stream->WaitForRoom(0, kGo));  // should the other have found the lock taken
  EXPECT_TRUE(ArriveAtLeast(collector, 5));
  const capture::CaptureResult result = stream->Finish("");
  EXPECT_EQ(result.counts.acked(), 6);
  EXPECT_EQ(result.status, v1::CAPTURE_STATUS_COMPLETE);
  EXPECT_EQ(stream->queued_bytes(), 0);
}

TEST_P(HeldFramesTest, AreSentInTimeThoughTheEngineIsSilent) {
  FakeCollector collector;
  StreamOptions options = Quick();
  options.hold = absl::Milliseconds(30);
  ASSERT_OK_AND_ASSIGN(auto stream, OpenStream(collector, options));
  for (int round = 1; round <= 3; ++round) {
    stream->Push(FrameOf(round));
    EXPECT_TRUE(ArriveAtLeast(collector, round));
  }
}

TEST_P(HeldFramesTest, AreDroppedAndCountedWhenTheCollectorGoes) {
  FakeCollector collector;
  ASSERT_OK_AND_ASSIGN(auto stream, OpenStream(collector));
  Push(*stream, 0, 3);
  collector.Die();
  const capture::CaptureResult result = stream->Finish("");
  ExpectCountsAddUp(result, 3);
  EXPECT_EQ(result.counts.dropped(), 3);
  EXPECT_EQ(result.status, v1::CAPTURE_STATUS_INCOMPLETE);
  EXPECT_EQ(stream->queued_bytes(), 0);
}

TEST_P(HeldFramesTest, AreNotHeldWhileNobodyIsConnectedSoThatNobodyWaitsTwice) {
  FakeCollector collector;
  auto channel = collector.NewChannel();
  collector.Die();
  StreamOptions options = Quick();
  options.queue_bytes = 50'000;
  options.give_up = absl::Seconds(2);
  ASSERT_OK_AND_ASSIGN(auto stream, CollectorStream::Open(channel, {}, options, kGo));
  Push(*stream, 0, 2);  // the first is in the sender's hands: from now on it is waited for
  absl::SleepFor(options.give_up + absl::Milliseconds(100));
  const absl::Time start = absl::Now();
  Push(*stream, 2, 20);
  EXPECT_LT(absl::Now() - start, options.give_up * 3 / 4);
  ExpectCountsAddUp(stream->Finish(""), 20);
}

}  // namespace
}  // namespace parity::stream
