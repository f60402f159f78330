#include "collector/ingest/ingest_session.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <limits>
#include <memory>

#include "collector/store/test_captures.h"

namespace parity::ingest {
namespace {

using ::testing::HasSubstr;

constexpr int64_t kMaxMessageBytes = 1 << 20;

v1::IngestRequest Open(const std::string& team = "team") {
  v1::IngestRequest request;
  request.mutable_open()->set_run("run");
  request.mutable_open()->set_team(team);
  return request;
}

v1::IngestRequest Frame(int64_t sequence, v1::Frame frame) {
  v1::IngestRequest request;
  request.mutable_frame()->set_sequence(sequence);
  *request.mutable_frame()->mutable_frame() = std::move(frame);
  return request;
}

v1::IngestRequest SealOf(int64_t captured, int64_t dropped = 0, const std::string& reason = "") {
  v1::IngestRequest request;
  request.mutable_seal()->set_captured(captured);
  request.mutable_seal()->set_dropped(dropped);
  request.mutable_seal()->set_incomplete_reason(reason);
  return request;
}

class IngestSessionTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto store = store::CaptureStore::Open(store::NewDatabasePath(), store::OpenMode::kReadWrite);
    ASSERT_TRUE(store.ok()) << store.status();
    store_ = *std::move(store);
    NewSession();
  }
  void TearDown() override { session_.reset(); }

  void NewSession() {
    session_ = std::make_unique<IngestSession>(store_.get(), kMaxMessageBytes,
                                               [this] { ++progress_calls_; });
  }
  void Expect(const v1::IngestRequest& request) {
    const auto answer = session_->Handle(request);
    EXPECT_TRUE(answer.ok()) << answer.status();
  }
  v1::IngestResponse::Sealed Sealed(const v1::IngestRequest& seal) {
    const auto answer = session_->Handle(seal);
    EXPECT_TRUE(answer.ok()) << answer.status();
    if (!answer.ok() || !answer->has_value()) return {};
    return (*answer)->sealed();
  }
  v1::Capture Stored(int index = 0) { return store_->GetRun("run")->captures(index); }

  std::atomic<int> progress_calls_ = 0;
  std::unique_ptr<store::CaptureStore> store_;
  std::unique_ptr<IngestSession> session_;
};

TEST_F(IngestSessionTest, AWholeStreamIsComplete) {
  const auto opened = session_->Handle(Open());
  ASSERT_TRUE(opened.ok()) << opened.status();
  EXPECT_FALSE((*opened)->opened().resumed());
  EXPECT_EQ((*opened)->opened().max_message_bytes(), kMaxMessageBytes);
  for (int i = 0; i < 3; ++i) Expect(Frame(i + 1, store::MakeFrame(i)));
  const v1::IngestResponse::Sealed sealed = Sealed(SealOf(6));
  EXPECT_EQ(sealed.status(), v1::CAPTURE_STATUS_COMPLETE) << sealed.message();
  EXPECT_EQ(sealed.counts().acked(), 6);
  EXPECT_EQ(session_->Progress().committed_sequence(), 3);
  EXPECT_EQ(progress_calls_, 3);
  session_->End("ignored after a seal");
  EXPECT_EQ(Stored().status(), v1::CAPTURE_STATUS_COMPLETE);
  EXPECT_EQ(Stored().counts().captured(), 6);
}

TEST_F(IngestSessionTest, TheOrderOfMessagesIsChecked) {
  EXPECT_TRUE(absl::IsInvalidArgument(session_->Handle(Frame(1, {})).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(session_->Handle(SealOf(0)).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(session_->Handle(v1::IngestRequest()).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(session_->Handle(Open("a/b")).status()));
  Expect(Open());
  EXPECT_TRUE(absl::IsInvalidArgument(session_->Handle(Open()).status()));
  Expect(Frame(1, store::MakeFrame(0)));
  const absl::Status gap = session_->Handle(Frame(3, store::MakeFrame(1))).status();
  EXPECT_TRUE(absl::IsOutOfRange(gap));
  EXPECT_EQ(gap.message(), "run/team: frame with sequence 3, expected 2");
  EXPECT_TRUE(absl::IsOutOfRange(session_->Handle(Frame(1, store::MakeFrame(0))).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(session_->Handle(SealOf(-1)).status()));
}

TEST_F(IngestSessionTest, BadTensorsAreCountedAndTheRestIsKept) {
  Expect(Open());
  v1::Frame frame = store::MakeFrame(0);
  frame.mutable_tensors(0)->set_xxh3(frame.tensors(0).xxh3() ^ 1);
  *frame.add_tensors() = store::MakeTensor("layer.0.out", {1, 2, 3});
  frame.mutable_tensors(2)->set_shape(0, 2);  // three values for a shape of two
  *frame.add_tensors() = store::MakeTensor("bad name", {1});
  Expect(Frame(1, frame));
  Expect(Frame(2, [] {
    v1::Frame bad = store::MakeFrame(1);
    bad.set_position(-1);
    return bad;
  }()));
  const v1::IngestResponse::Sealed sealed = Sealed(SealOf(6));
  EXPECT_EQ(sealed.counts().rejected(), 5);
  EXPECT_EQ(sealed.counts().acked(), 1);
  EXPECT_EQ(sealed.status(), v1::CAPTURE_STATUS_INCOMPLETE);
  EXPECT_EQ(sealed.message(), "5 rejected; 1 stored of 6 captured");
  EXPECT_EQ(session_->Progress().committed_sequence(), 2);
  EXPECT_THAT(session_->Progress().first_rejection(), HasSubstr("position 0"));
  EXPECT_THAT(session_->Progress().first_rejection(), HasSubstr("embed"));
  EXPECT_EQ(Stored().tensors(), 1);
}

TEST_F(IngestSessionTest, NonFiniteValuesAreKeptAndCounted) {
  Expect(Open());
  v1::Frame frame;
  const float nan = std::numeric_limits<float>::quiet_NaN();
  *frame.add_tensors() = store::MakeTensor("logits", std::vector<float>(100, nan));
  Expect(Frame(1, frame));
  EXPECT_EQ(Sealed(SealOf(1)).status(), v1::CAPTURE_STATUS_COMPLETE);
  EXPECT_EQ(Stored().non_finite(), 100);
}

TEST_F(IngestSessionTest, AConflictIsRefusedAndTheFirstIsKept) {
  Expect(Open());
  Expect(Frame(1, store::MakeFrame(0, 8)));
  Expect(Frame(2, store::MakeFrame(0, 9)));
  Expect(Frame(3, store::MakeFrame(0, 8)));
  const v1::IngestResponse::Sealed sealed = Sealed(SealOf(2));
  EXPECT_EQ(sealed.counts().conflicting(), 2);
  EXPECT_EQ(sealed.counts().duplicate(), 2);
  EXPECT_EQ(sealed.counts().acked(), 4);
  EXPECT_EQ(sealed.status(), v1::CAPTURE_STATUS_INCOMPLETE);
  EXPECT_THAT(session_->Progress().first_rejection(), HasSubstr("[9]"));
}

TEST_F(IngestSessionTest, ABrokenStreamIsResumedWithDuplicates) {
  Expect(Open());
  Expect(Frame(1, store::MakeFrame(0)));
  session_->End("the client went away");
  EXPECT_EQ(Stored().status(), v1::CAPTURE_STATUS_INCOMPLETE);
  EXPECT_EQ(Stored().message(), "the client went away");
  EXPECT_EQ(Stored().counts().acked(), 2);

  NewSession();
  const auto opened = session_->Handle(Open());
  ASSERT_TRUE(opened.ok()) << opened.status();
  EXPECT_TRUE((*opened)->opened().resumed());
  EXPECT_EQ(Stored().status(), v1::CAPTURE_STATUS_OPEN);
  Expect(Frame(1, store::MakeFrame(0)));
  Expect(Frame(2, store::MakeFrame(1)));
  const v1::IngestResponse::Sealed sealed = Sealed(SealOf(4));
  EXPECT_EQ(sealed.status(), v1::CAPTURE_STATUS_COMPLETE) << sealed.message();
  EXPECT_EQ(sealed.counts().duplicate(), 2);

  NewSession();
  EXPECT_TRUE(absl::IsFailedPrecondition(session_->Handle(Open()).status()));
}

TEST_F(IngestSessionTest, DropsAndReasonsMakeACaptureIncomplete) {
  Expect(Open());
  Expect(Frame(1, store::MakeFrame(0)));
  const v1::IngestResponse::Sealed sealed = Sealed(SealOf(3, 1, "cancelled"));
  EXPECT_EQ(sealed.status(), v1::CAPTURE_STATUS_INCOMPLETE);
  EXPECT_EQ(sealed.message(), "cancelled; 1 dropped; 2 stored of 3 captured");
  EXPECT_TRUE(absl::IsFailedPrecondition(session_->Handle(Frame(2, {})).status()));
}

TEST_F(IngestSessionTest, ADeletedCaptureEndsItsStream) {
  Expect(Open());
  Expect(Frame(1, store::MakeFrame(0)));
  ASSERT_TRUE(store_->Delete("run", "").ok());
  Expect(Frame(2, store::MakeFrame(1)));
  const absl::Status status = session_->Handle(SealOf(4)).status();
  EXPECT_TRUE(absl::IsNotFound(status)) << status;
  EXPECT_TRUE(absl::IsNotFound(session_->Failure()));
  EXPECT_EQ(session_->Progress().committed_sequence(), 1);
}

}  // namespace
}  // namespace parity::ingest
