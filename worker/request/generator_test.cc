#include "worker/request/generator.h"

#include <xxhash.h>

#include <cstring>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proto/text/capture_choice.h"
#include "tests/testing/status_matchers.h"
#include "worker/request/fake_engine.h"
#include "worker/stream/collector_store.h"
#include "worker/stream/fake_collector.h"

namespace parity::request {
namespace {

using parity::testing::StatusIs;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class KeptEvents : public EventSink {
 public:
  bool Send(const v1::GenerateEvent& event) override {
    events.push_back(event);
    if (on_event) on_event();
    return true;
  }
  const v1::GenerateEvent::Finished& finished() const { return events.back().finished(); }
  int CountFinished() const {
    int count = 0;
    for (const auto& event : events) count += event.has_finished();
    return count;
  }
  std::vector<v1::GenerateEvent> events;
  std::function<void()> on_event;
};

class GeneratorTest : public ::testing::Test {
 protected:
  GeneratorTest() {
    stream::StreamOptions options;
    options.open_timeout = absl::Milliseconds(500);
    options.give_up = absl::Milliseconds(500);
    store_ = std::make_unique<stream::CollectorStore>(collector_.NewChannel(), options);
    served_.engine = &engine_;
    served_.tokenizer = &tokenizer_;
    served_.model_name = "fake.gguf";
    served_.model_sha256 = "abc";
    served_.store = store_.get();
    request_.set_prompt("pqr");
    request_.set_max_tokens(4);
  }

  absl::Status Run() {
    Generator generator(served_, 2);
    return generator.Generate(request_, stop_, events_);
  }
  void WithCapture(const std::string& level) {
    request_.set_run("run");
    *request_.mutable_capture() = text::ParseCaptureChoice(level);
  }
  float Recorded(int32_t position, const std::string& checkpoint, size_t index) {
    const std::string data = collector_.tensors().at({position, checkpoint});
    float value;
    std::memcpy(&value, data.data() + index * sizeof(float), sizeof(float));
    return value;
  }

  stream::FakeCollector collector_;
  std::unique_ptr<stream::CollectorStore> store_;
  FakeEngine engine_;
  FakeTokenizer tokenizer_;
  Served served_;
  v1::GenerateRequest request_;
  StopSignal stop_;
  KeptEvents events_;
};

TEST_F(GeneratorTest, EventsAreStartedTokensFinished) {
  ASSERT_OK(Run());
  ASSERT_EQ(events_.events.size(), 6);
  const auto& started = events_.events[0].started();
  EXPECT_THAT(started.prompt_token_ids(), ElementsAre('p', 'q', 'r'));
  EXPECT_EQ(started.model_sha256(), "abc");
  EXPECT_EQ(started.capture(), "");
  EXPECT_FALSE(started.request_id().empty());
  EXPECT_FALSE(events_.finished().has_capture());
  EXPECT_EQ(events_.CountFinished(), 1);
}

TEST_F(GeneratorTest, BytesWithoutATokenAreCounted) {
  request_.set_prompt("p\x7fq\x7f");
  ASSERT_OK(Run());
  const auto& started = events_.events[0].started();
  EXPECT_THAT(started.prompt_token_ids(), ElementsAre('p', 'q'));
  EXPECT_EQ(started.dropped_prompt_bytes(), 2);
}

TEST_F(GeneratorTest, ACaptureReachesTheCollectorWhole) {
  WithCapture("full");
  ASSERT_OK(Run());
  const auto& finished = events_.finished();
  // Three prompt tokens and three fed ones, three checkpoints each.
  EXPECT_EQ(finished.capture().captured(), 18);
  EXPECT_EQ(finished.capture().acked(), 18);
  EXPECT_EQ(finished.capture_status(), v1::CAPTURE_STATUS_COMPLETE);
  EXPECT_EQ(events_.events[0].started().capture(), "run/worker-fake");
  EXPECT_EQ(Recorded(4, "embed", 1), 4.0f);
  const v1::Provenance provenance = collector_.opened().provenance();
  EXPECT_EQ(provenance.engine(), "fake");
  EXPECT_EQ(provenance.sampler(), "greedy");
  EXPECT_EQ(provenance.capture_spec(), "full");
  EXPECT_EQ(provenance.kind(), v1::CAPTURE_KIND_FREE);
  std::vector<int32_t> chosen;
  for (const v1::Frame& frame : collector_.frames()) {
    if (frame.has_chosen_token_id()) chosen.push_back(frame.position());
  }
  EXPECT_THAT(chosen, ElementsAre(2, 3, 4, 5));
}

TEST_F(GeneratorTest, ACollectorThatDiesStopsNothing) {
  WithCapture("full");
  request_.set_max_tokens(20);
  events_.on_event = [this] {
    if (events_.events.size() == 5) collector_.Die();
  };
  ASSERT_OK(Run());
  const auto& finished = events_.finished();
  EXPECT_EQ(finished.reason(), v1::FINISH_REASON_LENGTH);
  EXPECT_EQ(finished.generated_tokens(), 20);
  EXPECT_EQ(finished.capture().captured(), 66);
  EXPECT_EQ(finished.capture().captured(),
            finished.capture().acked() + finished.capture().dropped());
  EXPECT_GT(finished.capture().dropped(), 0);
  EXPECT_EQ(finished.capture_status(), v1::CAPTURE_STATUS_INCOMPLETE);
  EXPECT_THAT(finished.message(), HasSubstr("capture: "));
}

TEST_F(GeneratorTest, ARefusedCaptureIsAnErrorBeforeAnyEvent) {
  WithCapture("full");
  collector_.refuse_code = grpc::StatusCode::FAILED_PRECONDITION;
  EXPECT_THAT(Run(), StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("refused")));
  EXPECT_TRUE(events_.events.empty());
}

TEST_F(GeneratorTest, ACancelledCaptureIsSealedWithItsReason) {
  WithCapture("logits");
  events_.on_event = [this] { stop_.Stop(v1::FINISH_REASON_CANCELLED); };
  ASSERT_OK(Run());
  EXPECT_EQ(events_.finished().reason(), v1::FINISH_REASON_CANCELLED);
  EXPECT_EQ(events_.CountFinished(), 1);
  EXPECT_EQ(collector_.seals().at(0).incomplete_reason(), "cancelled");
}

TEST_F(GeneratorTest, PrefillPiecesFitTheQueue) {
  WithCapture("full");
  stream::StreamOptions options;
  options.queue_bytes = 6000;  // a token has 1.5 kB: pieces of two, half the queue
  stream::CollectorStore store(collector_.NewChannel(), options);
  served_.store = &store;
  request_.set_prompt("12345678");
  request_.set_max_tokens(1);
  ASSERT_OK(Run());
  EXPECT_THAT(engine_.steps, ElementsAre(2, 2, 2, 2));
  EXPECT_EQ(events_.finished().capture_status(), v1::CAPTURE_STATUS_COMPLETE);
}

TEST_F(GeneratorTest, APromptOverTheContextNamesBothFigures) {
  request_.set_prompt(std::string(65, 'x'));
  EXPECT_THAT(Run(), StatusIs(absl::StatusCode::kInvalidArgument,
                              HasSubstr("found 65 tokens, the context holds 64")));
  served_.context_tokens = 10;
  request_.set_prompt(std::string(11, 'x'));
  EXPECT_THAT(Run(), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("holds 10")));
}

TEST_F(GeneratorTest, WithoutATokenizerOnlyIdsAreServed) {
  served_.tokenizer = nullptr;
  served_.tokenizer_status = absl::UnimplementedError("pre 'x' is unknown");
  EXPECT_THAT(Run(), StatusIs(absl::StatusCode::kUnimplemented, HasSubstr("pre 'x' is unknown")));
  request_.clear_prompt();
  request_.add_token_ids(5);
  EXPECT_OK(Run());
}

TEST_F(GeneratorTest, ACaptureWithNowhereToGoIsRefused) {
  WithCapture("full");
  served_.store = nullptr;
  EXPECT_THAT(Run(), StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("--collector")));
}

TEST_F(GeneratorTest, ALogWithoutACaptureHoldsTheLogits) {
  const std::string path = absl::StrCat(::testing::TempDir(), "/generator.jsonl");
  std::remove(path.c_str());
  ASSERT_OK_AND_ASSIGN(auto log, capture::JsonlLog::Open({path, "mine", 2}));
  served_.log = log.get();
  ASSERT_OK(Run());
  std::ifstream in(path);
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  ASSERT_EQ(lines.size(), 6);
  EXPECT_THAT(lines[3], AllOf(HasSubstr("\"team\":\"mine\",\"checkpoint\":\"logits\","
                                        "\"token_idx\":3,\"dtype\":\"F32\",\"shape\":\"[1,300]\""),
                              HasSubstr("\"values\":[0,0]")));
  EXPECT_EQ(events_.finished().capture_status(), v1::CAPTURE_STATUS_COMPLETE);
  EXPECT_TRUE(collector_.frames().empty());
}

TEST_F(GeneratorTest, SessionsAreLimitedWithAHint) {
  Generator generator(served_, 1);
  engine_.step_time = absl::Seconds(30);
  absl::Notification started;
  KeptEvents first;
  first.on_event = [&] {
    if (!started.HasBeenNotified()) started.Notify();
  };
  std::thread busy([&] { EXPECT_OK(generator.Generate(request_, stop_, first)); });
  started.WaitForNotification();
  EXPECT_EQ(generator.GetModel().active_sessions(), 1);
  StopSignal other;
  const absl::Status status = generator.Generate(request_, other, events_);
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("all 1 sessions")));
  EXPECT_TRUE(status.GetPayload(kRetryAfterMs).has_value());
  stop_.Stop(v1::FINISH_REASON_CANCELLED);
  busy.join();
  EXPECT_EQ(generator.GetModel().active_sessions(), 0);
  EXPECT_EQ(engine_.open_sessions, 0);
}

class ShadowTest : public GeneratorTest {
 protected:
  ShadowTest() {
    request_.Clear();
    request_.set_shadow("r/other");
    collector_.run.mutable_run()->set_name("r");
    v1::Capture& capture = *collector_.run.mutable_run()->add_captures();
    capture.set_team("other");
    capture.mutable_provenance()->set_model_sha256("abc");
    for (int32_t position = 0; position < 4; ++position) {
      v1::TokenRecord& token = *collector_.run.add_tokens();
      token.set_team("other");
      token.set_position(position);
      token.set_input_token_id(10 + position);
      token.set_phase(position < 2 ? v1::PHASE_PREFILL : v1::PHASE_DECODE);
      v1::Frame& frame = collector_.recorded.emplace_back();
      frame.set_position(position);
      AddTensor(frame, "embed", {7, 8});
    }
  }
  static void AddTensor(v1::Frame& frame, const std::string& name,
                        const std::vector<float>& values) {
    v1::Tensor& tensor = *frame.add_tensors();
    tensor.set_checkpoint(name);
    tensor.set_dtype(v1::DTYPE_F32);
    tensor.add_shape(values.size());
    tensor.set_data(values.data(), values.size() * sizeof(float));
    tensor.set_xxh3(XXH3_64bits(tensor.data().data(), tensor.data().size()));
  }
};

TEST_F(ShadowTest, FollowsIdsAndPhasesAndRecordsOurOwnValues) {
  for (v1::Frame& frame : collector_.recorded) AddTensor(frame, "layer.0.out", {1, 1});
  ASSERT_OK(Run());
  EXPECT_THAT(engine_.steps, ElementsAre(2, -1, -1));
  EXPECT_EQ(events_.finished().capture_status(), v1::CAPTURE_STATUS_COMPLETE);
  EXPECT_EQ(collector_.tensors().size(), 8);
  EXPECT_EQ(Recorded(2, "embed", 0), 12.0f);       // our own embedding of token 12
  EXPECT_EQ(Recorded(2, "layer.0.out", 0), 8.0f);  // our op over their 7
  const auto opened = collector_.opened();
  EXPECT_EQ(opened.run(), "r");
  EXPECT_EQ(opened.team(), "worker-fake-shadow-of-other");
  EXPECT_EQ(opened.provenance().kind(), v1::CAPTURE_KIND_SHADOW);
  EXPECT_EQ(opened.provenance().shadow_of(), "r/other");
  EXPECT_EQ(opened.provenance().sampler(), "forced");
}

TEST_F(ShadowTest, FollowingFeedsTheirIdsAndComputesFreely) {
  request_.clear_shadow();
  request_.set_follow("r/other");
  request_.mutable_capture()->set_level("full");
  ASSERT_OK(Run());
  EXPECT_THAT(engine_.steps, ElementsAre(2, -1, -1));
  EXPECT_EQ(Recorded(2, "layer.0.out", 0), 13.0f);  // our own op over our own 12
  const auto opened = collector_.opened();
  EXPECT_EQ(opened.run(), "r");
  EXPECT_EQ(opened.team(), "worker-fake");
  EXPECT_EQ(opened.provenance().kind(), v1::CAPTURE_KIND_FREE);
  EXPECT_EQ(opened.provenance().shadow_of(), "");
}

TEST_F(ShadowTest, OnlyTheirCheckpointsAreRecorded) {
  ASSERT_OK(Run());
  EXPECT_EQ(collector_.tensors().size(), 4);
}

TEST_F(ShadowTest, IdsNobodyRecordedComeFromTheRequest) {
  for (auto& token : *collector_.run.mutable_tokens()) {
    token.set_input_token_id(-1);
    token.set_phase(v1::PHASE_UNSPECIFIED);
  }
  EXPECT_THAT(Run(), StatusIs(absl::StatusCode::kFailedPrecondition,
                              HasSubstr("no capture of the run knows the token id at position 0")));
  request_.set_prompt("pqrs");
  ASSERT_OK(Run());
  EXPECT_THAT(events_.events[0].started().prompt_token_ids(), ElementsAre('p', 'q', 'r', 's'));
}

TEST_F(ShadowTest, IdsThatContradictAreRefused) {
  request_.add_token_ids(10);
  request_.add_token_ids(77);
  EXPECT_THAT(Run(), StatusIs(absl::StatusCode::kFailedPrecondition,
                              HasSubstr("token 11 at position 1, the request says 77")));
}

TEST_F(ShadowTest, AnotherModelIsRefused) {
  served_.model_sha256 = "def";
  EXPECT_THAT(Run(), StatusIs(absl::StatusCode::kFailedPrecondition,
                              AllOf(HasSubstr("sha256 abc"), HasSubstr("def"))));
}

TEST_F(ShadowTest, AMissingCaptureIsNotFound) {
  request_.set_shadow("r/nobody");
  EXPECT_THAT(Run(), StatusIs(absl::StatusCode::kNotFound, HasSubstr("nobody")));
}

TEST_F(ShadowTest, AShapeThatDoesNotFitEndsWithTheReason) {
  AddTensor(collector_.recorded[3], "layer.0.out", {1, 2, 3});
  ASSERT_OK(Run());
  EXPECT_EQ(events_.finished().reason(), v1::FINISH_REASON_ERROR);
  EXPECT_THAT(events_.finished().message(), HasSubstr("layer.0.out at position 3"));
  EXPECT_EQ(events_.CountFinished(), 1);
}

}  // namespace
}  // namespace parity::request
