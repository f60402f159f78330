#include "worker/request/generation.h"

#include <cmath>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"
#include "worker/request/fake_engine.h"

namespace parity::request {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class KeptEvents : public EventSink {
 public:
  bool Send(const v1::GenerateEvent& event) override {
    events.push_back(event);
    if (on_event) on_event();
    return listening;
  }
  std::string text() const {
    std::string all;
    for (const auto& event : events) all += event.token().text();
    return all;
  }
  std::vector<int32_t> ids() const {
    std::vector<int32_t> all;
    for (const auto& event : events) all.push_back(event.token().id());
    return all;
  }
  std::vector<v1::GenerateEvent> events;
  std::function<void()> on_event;
  bool listening = true;
};

class GenerationTest : public ::testing::Test {
 protected:
  GenerationTest() {
    job_.prompt_ids = {'p', 'q', 'r'};
    job_.max_tokens = 4;
    job_.step_tokens = 8;
  }

  v1::GenerateEvent::Finished Run(int32_t capacity = 64) {
    session_ = *engine_.NewSession(capacity);
    Generation generation(
        job_, {*session_, FakeEngine::kVocabulary, &tokenizer_, nullptr, {}, stop_, events_});
    return generation.Run();
  }

  // "abcd..." as the model's own continuation after the three prompt tokens.
  void Alphabet() {
    engine_.next = [](int32_t position) { return 'a' + position - 2; };
  }

  FakeEngine engine_;
  FakeTokenizer tokenizer_{{"\xF0\x9F", "\x98\x80"}};
  KeptEvents events_;
  StopSignal stop_;
  GenerationJob job_;
  std::unique_ptr<engine::Session> session_;
};

TEST_F(GenerationTest, GreedyContinuesToMaxTokens) {
  Alphabet();
  const auto finished = Run();
  EXPECT_EQ(events_.text(), "abcd");
  EXPECT_EQ(events_.events[0].token().position(), 3);
  // One logit is 1, the 299 others are 0.
  EXPECT_NEAR(events_.events[0].token().logprob(), 1 - std::log(299 + std::exp(1.0)), 1e-5);
  EXPECT_EQ(finished.reason(), v1::FINISH_REASON_LENGTH);
  EXPECT_EQ(finished.prompt_tokens(), 3);
  EXPECT_EQ(finished.generated_tokens(), 4);
  // The last chosen token is not fed.
  EXPECT_THAT(engine_.steps, ElementsAre(3, -1, -1, -1));
}

// Tells how it was asked for logits.
class AskedSession : public engine::Session {
 public:
  explicit AskedSession(engine::Session& session) : session_(session) {}
  absl::Status Forward(absl::Span<const int32_t> ids, const engine::ForwardOptions& options,
                       engine::Observer* observer, absl::Span<float> logits) override {
    asked.push_back(options.logits == engine::LogitsWanted::kLast ? 0 : -1);
    return session_.Forward(ids, options, observer, logits);
  }
  absl::Status ForwardTop(absl::Span<const int32_t> ids, const engine::ForwardOptions& options,
                          engine::Observer* observer, absl::Span<float> row, int32_t k,
                          engine::TopLogits& top) override {
    asked.push_back(k);
    return session_.ForwardTop(ids, options, observer, row, k, top);
  }
  int32_t position() const override { return session_.position(); }
  int32_t capacity() const override { return session_.capacity(); }

  std::vector<int32_t> asked;  // how many of the largest; 0: the row, -1: nothing

 private:
  engine::Session& session_;
};

TEST_F(GenerationTest, TheRowIsAskedForOnlyWhereItDecides) {
  Alphabet();
  job_.step_tokens = 2;
  const auto asked = [this] {
    session_ = *engine_.NewSession(64);
    AskedSession session(*session_);
    Generation generation(
        job_, {session, FakeEngine::kVocabulary, &tokenizer_, nullptr, {}, stop_, events_});
    generation.Run();
    return session.asked;
  };
  EXPECT_THAT(asked(), ElementsAre(-1, 1, 1, 1, 1)) << "greedy";
  job_.sampler = {1.0f, 40, 0.5f, 0.1f, 1};
  EXPECT_THAT(asked(), ElementsAre(-1, 40, 40, 40, 40));
  job_.forced_ids = {'1', '2'};
  EXPECT_THAT(asked(), ElementsAre(-1, 0, 0, 40, 40)) << "what is forced has a probability too";
  job_.sampler = {1.0f, 0, 0.5f, 0.1f, 1};
  EXPECT_THAT(asked(), ElementsAre(-1, 0, 0, 0, 0));
}

// All logits but one are equal: the lower ids come first.
TEST_F(GenerationTest, TiesAreDrawnAsFromTheRow) {
  Alphabet();
  job_.sampler = {1.0f, 40, 0, 0, 11};
  job_.ignore_eos = true;
  Run();
  Sampler sampler(job_.sampler);
  for (int i = 0; i < job_.max_tokens; ++i) {
    std::vector<float> row(FakeEngine::kVocabulary);
    row['a' + i] = 1;
    EXPECT_EQ(events_.ids()[i], sampler.Choose(row)->id);
  }
}

TEST_F(GenerationTest, ThePromptGoesInPieces) {
  job_.prompt_ids.assign(10, 'x');
  job_.step_tokens = 4;
  job_.max_tokens = 1;
  Run();
  EXPECT_THAT(engine_.steps, ElementsAre(4, 4, 2));
}

TEST_F(GenerationTest, ForcedTokensAreFedAndThenTheModelGoesOn) {
  engine_.next = [](int32_t) { return 'z'; };
  job_.forced_ids = {'1', '2'};
  const auto finished = Run();
  EXPECT_EQ(events_.text(), "12zz");
  EXPECT_EQ(finished.generated_tokens(), 4);
}

TEST_F(GenerationTest, TheLastForcedTokenIsFedToo) {
  job_.forced_ids = {'1', '2'};
  job_.max_tokens = 2;
  const auto finished = Run();
  EXPECT_EQ(finished.reason(), v1::FINISH_REASON_LENGTH);
  EXPECT_THAT(engine_.steps, ElementsAre(3, -1, -1));
}

TEST_F(GenerationTest, AForcedEndTokenEndsNothing) {
  job_.forced_ids = {FakeTokenizer::kEnd, '2'};
  job_.max_tokens = 2;
  Run();
  EXPECT_THAT(events_.ids(), ElementsAre(FakeTokenizer::kEnd, '2'));
}

TEST_F(GenerationTest, TheModelsEndTokenEnds) {
  engine_.next = [](int32_t position) { return position < 3 ? 'a' : FakeTokenizer::kEnd; };
  EXPECT_EQ(Run().reason(), v1::FINISH_REASON_EOS);
  EXPECT_THAT(events_.ids(), ElementsAre('a', FakeTokenizer::kEnd));
}

TEST_F(GenerationTest, IgnoreEosGoesOn) {
  engine_.next = [](int32_t) { return FakeTokenizer::kEnd; };
  job_.ignore_eos = true;
  EXPECT_EQ(Run().generated_tokens(), 4);
}

TEST_F(GenerationTest, AStopStringOverTokensEndsBeforeIt) {
  Alphabet();
  job_.stop = {"cd"};
  job_.max_tokens = 10;
  EXPECT_EQ(Run().reason(), v1::FINISH_REASON_STOP);
  EXPECT_EQ(events_.text(), "ab");
  EXPECT_EQ(events_.events.size(), 4);
}

TEST_F(GenerationTest, HeldBackTextComesWithTheLastToken) {
  Alphabet();
  job_.stop = {"cdXY"};
  EXPECT_EQ(Run().reason(), v1::FINISH_REASON_LENGTH);
  EXPECT_EQ(events_.text(), "abcd");
}

TEST_F(GenerationTest, AnEmojiOverTwoTokensComesWithTheSecond) {
  engine_.next = [](int32_t position) { return FakeTokenizer::kFirstExtra + position % 2; };
  job_.prompt_ids = {'p'};
  job_.max_tokens = 2;
  Run();
  EXPECT_EQ(events_.events.at(0).token().text(), "");
  EXPECT_EQ(events_.events.at(1).token().text(), "\xF0\x9F\x98\x80");
}

TEST_F(GenerationTest, AFullContextEndsWithItsSize) {
  job_.max_tokens = 10;
  const auto finished = Run(/*capacity=*/5);
  EXPECT_EQ(finished.reason(), v1::FINISH_REASON_LENGTH);
  EXPECT_THAT(finished.message(), HasSubstr("context of 5 tokens"));
  EXPECT_EQ(finished.generated_tokens(), 3);
}

TEST_F(GenerationTest, AnEngineErrorIsTheReason) {
  engine_.fail_at = 4;
  const auto finished = Run();
  EXPECT_EQ(finished.reason(), v1::FINISH_REASON_ERROR);
  EXPECT_THAT(finished.message(), HasSubstr("broke"));
  EXPECT_EQ(finished.generated_tokens(), 2);
}

TEST_F(GenerationTest, CancelStopsWithinOneToken) {
  events_.on_event = [this] {
    if (events_.events.size() == 2) stop_.Stop(v1::FINISH_REASON_CANCELLED);
  };
  job_.max_tokens = 50;
  EXPECT_EQ(Run().reason(), v1::FINISH_REASON_CANCELLED);
  EXPECT_EQ(events_.events.size(), 2);
}

TEST_F(GenerationTest, CancelStopsInsidePrefill) {
  engine_.step_time = absl::Seconds(30);
  std::thread canceller([this] {
    absl::SleepFor(absl::Milliseconds(30));
    stop_.Stop(v1::FINISH_REASON_CANCELLED);
  });
  const absl::Time start = absl::Now();
  EXPECT_EQ(Run().reason(), v1::FINISH_REASON_CANCELLED);
  EXPECT_LT(absl::Now() - start, absl::Seconds(10));
  EXPECT_TRUE(events_.events.empty());
  canceller.join();
}

TEST_F(GenerationTest, TheDeadlineIsSeenBetweenSteps) {
  engine_.step_time = absl::Milliseconds(20);
  job_.max_tokens = 60;
  StopSignal stop(absl::Now() + absl::Milliseconds(200));
  session_ = *engine_.NewSession(64);
  Generation generation(
      job_, {*session_, FakeEngine::kVocabulary, &tokenizer_, nullptr, {}, stop, events_});
  const auto finished = generation.Run();
  EXPECT_EQ(finished.reason(), v1::FINISH_REASON_DEADLINE);
  EXPECT_LT(finished.generated_tokens(), 12);
}

TEST_F(GenerationTest, AListenerThatLeftCancels) {
  events_.listening = false;
  EXPECT_EQ(Run().reason(), v1::FINISH_REASON_CANCELLED);
  EXPECT_EQ(events_.events.size(), 1);
}

TEST_F(GenerationTest, WithoutATokenizerIdsStillCome) {
  session_ = *engine_.NewSession(64);
  Generation generation(job_,
                        {*session_, FakeEngine::kVocabulary, nullptr, nullptr, {}, stop_, events_});
  EXPECT_EQ(generation.Run().generated_tokens(), 4);
  EXPECT_EQ(events_.text(), "");
  EXPECT_EQ(events_.ids().size(), 4);
}

}  // namespace
}  // namespace parity::request
