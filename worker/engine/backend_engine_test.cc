#include "worker/engine/backend_engine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "kernels/reference/reference_backend.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/tiny_model.h"
#include "worker/engine/recorder.h"
#include "worker/model/gguf_file.h"

namespace parity::engine {
namespace {

using parity::testing::StatusIs;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

const std::vector<int32_t> kIds = {5, 100, 200, 259, 17, 42, 8, 300};

// A model file in memory, and an engine over the scalar oracle.
class BackendEngineTest : public ::testing::Test {
 protected:
  std::unique_ptr<Engine> Make(const parity::testing::TinyModelOptions& model = {},
                               const EngineOptions& options = {}) {
    bytes_ = parity::testing::TinyModel(model).Serialize();
    auto file = model::GgufFile::FromBytes(
        "tiny.gguf", {reinterpret_cast<const uint8_t*>(bytes_.data()), bytes_.size()});
    EXPECT_OK(file);
    auto engine = BackendEngine::Create(
        *std::move(file), kernels::CreateReferenceBackend(kernels::Numerics::kNative), options);
    EXPECT_OK(engine);
    return *std::move(engine);
  }

  // Feeds ids in pieces; returns the last logits.
  static std::vector<float> Feed(Engine& engine, absl::Span<const int32_t> ids, size_t piece,
                                 Observer* observer) {
    auto session = engine.NewSession(32);
    EXPECT_OK(session);
    std::vector<float> logits(engine.info().vocabulary);
    for (size_t at = 0; at < ids.size(); at += piece) {
      const auto part = ids.subspan(at, piece);
      const bool last = at + part.size() == ids.size();
      EXPECT_OK((*session)->Forward(
          part, {.logits = last ? LogitsWanted::kLast : LogitsWanted::kNone, .prefill = true},
          observer, absl::MakeSpan(logits)));
    }
    EXPECT_EQ((*session)->position(), static_cast<int32_t>(ids.size()));
    return logits;
  }

  std::string bytes_;  // what the latest engine reads: one engine a test
};

TEST_F(BackendEngineTest, InfoDescribesModelAndNumerics) {
  const auto engine = Make({.tied = false, .matrices = kernels::DType::kQ8_0},
                           {.max_step_tokens = 5, .version = "v"});
  const EngineInfo& info = engine->info();
  EXPECT_EQ(info.engine, "reference");
  EXPECT_EQ(info.engine_version, "v");
  EXPECT_EQ(info.architecture, "llama");
  EXPECT_EQ(info.kv_type, "f16");
  EXPECT_EQ(info.numerics, "native");
  EXPECT_EQ(info.layers, 2);
  EXPECT_EQ(info.vocabulary, 384);
  EXPECT_EQ(info.checkpoints.size(), 3u + 2 * 15);
  EXPECT_TRUE(std::is_sorted(info.checkpoints.begin(), info.checkpoints.end(),
                             [](const checkpoint::Name& a, const checkpoint::Name& b) {
                               return checkpoint::Ordinal(a) < checkpoint::Ordinal(b);
                             }));
  EXPECT_EQ(engine->max_step_tokens(), 5);
  EXPECT_TRUE(engine->can_substitute());
}

// Whatever is observed and however the prompt is cut: the same sites, the same values, the same
// logits.
TEST_F(BackendEngineTest, PiecesAndObservationChangeNothing) {
  const auto engine = Make({.biases = true});
  Recorder whole;
  const std::vector<float> expected = Feed(*engine, kIds, 8, &whole);
  EXPECT_EQ(whole.asked(), static_cast<int>(engine->info().checkpoints.size()));
  EXPECT_EQ(whole.recording().values.size(), engine->info().checkpoints.size());
  EXPECT_EQ(*whole.recording().Find(Stage::kLogits, -1, 7), expected);
  for (const size_t piece : {1, 3, 8}) {
    SCOPED_TRACE(piece);
    Recorder pieces;
    EXPECT_EQ(Feed(*engine, kIds, piece, &pieces), expected);
    EXPECT_EQ(Feed(*engine, kIds, piece, nullptr), expected);
    EXPECT_EQ(pieces.recording().values, whole.recording().values);
    EXPECT_EQ(pieces.recording().heads, whole.recording().heads);
    EXPECT_EQ(pieces.begun(), pieces.ended());
  }
  // One site at a time: the last layer and the head are then computed for some rows only.
  for (const checkpoint::Name& site : engine->info().checkpoints) {
    SCOPED_TRACE(checkpoint::ToString(site));
    Recorder one(
        [&](Stage stage, int32_t layer) { return stage == site.stage && layer == site.layer; });
    EXPECT_EQ(Feed(*engine, kIds, 3, &one), expected);
    ASSERT_EQ(one.recording().values.size(), 1u);
    EXPECT_EQ(one.recording().values.begin()->second,
              whole.recording().values.at({site.layer, site.stage}));
  }
}

// Replaces every value by a recording, and keeps what it was given.
class Replacer : public Recorder {
 public:
  explicit Replacer(const Recording& by) : by_(by) {}
  bool Substitutes() const override { return true; }
  absl::Status BeginStep(const Step& step) override {
    first_ = step.first_position;
    return Recorder::BeginStep(step);
  }
  absl::Status Observe(Stage stage, int32_t layer, const MutableTensorView& value) override {
    EXPECT_OK(Recorder::Observe(stage, layer, value));
    for (int64_t row = 0; row < value.rows; ++row) {
      const auto* values = by_.Find(stage, layer, first_ + static_cast<int32_t>(row));
      std::copy(values->begin(), values->end(), value.values.begin() + row * value.width);
    }
    return absl::OkStatus();
  }

 private:
  const Recording& by_;
  int32_t first_ = 0;
};

// Other ids, every value replaced by the recording of the first ids: each op then computes, from
// the recording's values and a cache of the recording's keys and values, exactly what the recording
// holds. Only the embedding reads the ids.
TEST_F(BackendEngineTest, EverythingDownstreamReadsTheSubstitute) {
  const auto engine = Make({.rope_freqs = true, .biases = true});
  Recorder recorded;
  const std::vector<float> logits = Feed(*engine, kIds, 8, &recorded);
  const std::vector<int32_t> others(kIds.rbegin(), kIds.rend());
  EXPECT_NE(Feed(*engine, others, 8, nullptr), logits);
  for (const size_t piece : {1, 5, 8}) {
    Replacer replacer(recorded.recording());
    EXPECT_EQ(Feed(*engine, others, piece, &replacer), logits);
    for (const auto& [site, values] : recorded.recording().values) {
      const bool same = replacer.recording().values.at(site) == values;
      EXPECT_EQ(same, site.second != Stage::kEmbed)
          << checkpoint::ToString({site.second, site.first});
    }
  }
}

TEST_F(BackendEngineTest, NoLogitsWantedNoneWritten) {
  const auto engine = Make();
  ASSERT_OK_AND_ASSIGN(auto session, engine->NewSession(8));
  std::vector<float> logits(384, 7.0f);
  EXPECT_OK(
      session->Forward(kIds, {.logits = LogitsWanted::kNone}, nullptr, absl::MakeSpan(logits)));
  EXPECT_EQ(logits, std::vector<float>(384, 7.0f));
}

TEST_F(BackendEngineTest, RefusesWhatItCannotDo) {
  const auto engine = Make({}, {.max_step_tokens = 4});
  EXPECT_THAT(engine->NewSession(0), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("0")));
  EXPECT_THAT(engine->NewSession(257),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("257")));
  ASSERT_OK_AND_ASSIGN(auto session, engine->NewSession(5));
  std::vector<float> logits(384);
  const auto forward = [&](std::vector<int32_t> ids) {
    return session->Forward(ids, {}, nullptr, absl::MakeSpan(logits));
  };
  EXPECT_THAT(forward({}), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("none")));
  EXPECT_THAT(forward({1, -1}), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("ids[1]")));
  EXPECT_THAT(forward({384}), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("383")));
  EXPECT_THAT(forward({1, 2, 3, 4, 5}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("at most 4")));
  EXPECT_OK(forward({1, 2, 3}));
  EXPECT_THAT(forward({4, 5, 6}), StatusIs(absl::StatusCode::kOutOfRange, HasSubstr("5")));
  EXPECT_OK(forward({4, 5}));
  EXPECT_EQ(session->position(), 5);
}

TEST_F(BackendEngineTest, ErrorsOfAFileNameIt) {
  parity::testing::GgufWriter writer;
  writer.AddString("general.architecture", "mamba");
  bytes_ = writer.Serialize();
  ASSERT_OK_AND_ASSIGN(
      std::shared_ptr<const model::GgufFile> file,
      model::GgufFile::FromBytes("other.gguf",
                                 {reinterpret_cast<const uint8_t*>(bytes_.data()), bytes_.size()}));
  EXPECT_THAT(
      BackendEngine::Create(file, kernels::CreateReferenceBackend(kernels::Numerics::kNative), {}),
      StatusIs(absl::StatusCode::kUnimplemented,
               AllOf(HasSubstr("other.gguf: "), Not(HasSubstr("other.gguf: other.gguf")))));
}

// Fails, or sets the stop flag, at one site.
class Interrupter : public Recorder {
 public:
  Interrupter(Stage stage, absl::Status status, std::atomic<bool>* stop)
      : stage_(stage), status_(std::move(status)), stop_(stop) {}
  absl::Status Observe(Stage stage, int32_t layer, const MutableTensorView&) override {
    last_layer = layer;
    ++observed;
    if (stage != stage_) return absl::OkStatus();
    if (stop_ != nullptr) *stop_ = true;
    return status_;
  }
  int observed = 0;
  int32_t last_layer = -1;

 private:
  Stage stage_;
  absl::Status status_;
  std::atomic<bool>* stop_;
};

TEST_F(BackendEngineTest, ObserverErrorEndsTheSessionAndNoOther) {
  const auto engine = Make();
  const std::vector<float> expected = Feed(*engine, kIds, 8, nullptr);
  std::vector<float> logits(384);
  ASSERT_OK_AND_ASSIGN(auto session, engine->NewSession(32));
  Interrupter failing(Stage::kAttnV, absl::DataLossError("disk"), nullptr);
  EXPECT_THAT(session->Forward(kIds, {}, &failing, absl::MakeSpan(logits)),
              StatusIs(absl::StatusCode::kDataLoss, "disk"));
  EXPECT_EQ(failing.observed, 5);  // embed, norm, q, k, v: nothing after the error
  EXPECT_EQ(failing.ended(), 0);
  EXPECT_EQ(session->position(), 0);
  EXPECT_THAT(session->Forward(kIds, {}, nullptr, absl::MakeSpan(logits)),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("session")));
  EXPECT_EQ(Feed(*engine, kIds, 8, nullptr), expected);
}

TEST_F(BackendEngineTest, StopIsSeenBetweenLayers) {
  const auto engine = Make();
  std::vector<float> logits(384);
  std::atomic<bool> stop = false;
  Interrupter stopping(Stage::kAttnNorm, absl::OkStatus(), &stop);
  ASSERT_OK_AND_ASSIGN(auto session, engine->NewSession(32));
  EXPECT_THAT(session->Forward(kIds, {.stop = &stop}, &stopping, absl::MakeSpan(logits)),
              StatusIs(absl::StatusCode::kCancelled, "stopped"));
  EXPECT_EQ(stopping.last_layer, 0);
}

// Holds the first step until it is let go, and keeps what each step computed.
class Gate {
 public:
  EngineOptions Options() {
    return {.on_step = [this](const StepLoad& step) {
      std::unique_lock<std::mutex> lock(mutex_);
      loads_.emplace_back(step.sequences, step.rows);
      opened_.wait(lock, [this] { return open_; });
    }};
  }
  void Open() {
    std::lock_guard<std::mutex> lock(mutex_);
    open_ = true;
    opened_.notify_all();
  }
  std::vector<std::pair<int, int64_t>> loads() {
    std::lock_guard<std::mutex> lock(mutex_);
    return loads_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable opened_;
  bool open_ = false;
  std::vector<std::pair<int, int64_t>> loads_;
};

// Runs one session a thread while the gate holds a first one, so that all the others meet in the
// step after it.
void Meet(Engine& engine, Gate& gate, const std::vector<std::function<void(Session&)>>& sessions) {
  auto& backend_engine = static_cast<BackendEngine&>(engine);
  const auto run = [&](const std::function<void(Session&)>& body) {
    auto session = engine.NewSession(32);
    ASSERT_OK(session);
    body(**session);
  };
  std::vector<std::thread> threads;
  threads.emplace_back([&] {
    run([](Session& session) {
      EXPECT_OK(session.Forward({7}, {.logits = LogitsWanted::kNone}, nullptr, {}));
    });
  });
  while (gate.loads().empty()) std::this_thread::yield();
  std::deque<std::unique_ptr<Session>> opened;
  for (const auto& body : sessions) {
    const int64_t before = backend_engine.waiting();
    opened.push_back(*engine.NewSession(32));
    threads.emplace_back([&body, session = opened.back().get()] { body(*session); });
    while (backend_engine.waiting() == before) std::this_thread::yield();
  }
  gate.Open();
  for (std::thread& thread : threads) thread.join();
}

TEST_F(BackendEngineTest, WhoWaitsIsComputedTogetherAndFailsAlone) {
  const std::vector<int32_t> ids(kIds.begin(), kIds.begin() + 4);
  std::vector<float> expected;
  Recorder recorded;
  expected = Feed(*Make(), ids, 4, &recorded);
  Gate gate;
  const auto engine = Make({}, gate.Options());
  std::vector<float> logits(384), unused(384);
  Recorder whole;
  Interrupter failing(Stage::kAttnV, absl::DataLossError("disk"), nullptr);
  std::atomic<bool> stop = false;
  Interrupter stopping(Stage::kMlpUp, absl::OkStatus(), &stop);
  Meet(*engine, gate,
       {[&](Session& session) {
          EXPECT_OK(session.Forward(ids, {}, &whole, absl::MakeSpan(logits)));
          EXPECT_EQ(session.position(), 4);
        },
        [&](Session& session) {
          EXPECT_THAT(session.Forward(ids, {}, &failing, absl::MakeSpan(unused)),
                      StatusIs(absl::StatusCode::kDataLoss, "disk"));
          EXPECT_EQ(session.position(), 0);
        },
        [&](Session& session) {
          std::vector<float> own(384);
          EXPECT_THAT(session.Forward(ids, {.stop = &stop}, &stopping, absl::MakeSpan(own)),
                      StatusIs(absl::StatusCode::kCancelled, "stopped"));
        }});
  EXPECT_EQ(logits, expected);
  EXPECT_EQ(whole.recording().values, recorded.recording().values);
  EXPECT_EQ(failing.observed, 5);  // embed, norm, q, k, v
  EXPECT_EQ(stopping.last_layer, 0);
  // Prompts that end side by side leave their last row to the next step.
  EXPECT_EQ(gate.loads(), (std::vector<std::pair<int, int64_t>>{{1, 1}, {3, 9}, {1, 1}}));
}

// Each is given as many of its own row as it asked for.
TEST_F(BackendEngineTest, WhoWaitsForTheLargestLogitsIsServedTogether) {
  const std::vector<float> of_five = Feed(*Make(), {5}, 1, nullptr);
  const std::vector<float> of_nine = Feed(*Make(), {9}, 1, nullptr);
  Gate gate;
  const auto engine = Make({}, gate.Options());
  const auto ask = [](int32_t id, int32_t k, const std::vector<float>& row) {
    return [=, &row](Session& session) {
      TopLogits top;
      EXPECT_OK(session.ForwardTop({id}, {}, nullptr, {}, k, top));
      const TopLogits expected = TopLogitsOf(row, k);
      ASSERT_EQ(static_cast<int32_t>(top.values.size()), k);
      for (int32_t i = 0; i < k; ++i) {
        EXPECT_EQ(top.values[i].id, expected.values[i].id);
        EXPECT_EQ(top.values[i].value, expected.values[i].value);
      }
      EXPECT_NEAR(top.exp_sum, expected.exp_sum, 6e-6 * expected.exp_sum);
    };
  };
  std::vector<float> row(384);
  Meet(
      *engine, gate,
      {ask(5, 3, of_five), ask(9, 40, of_nine),
       [&](Session& session) { EXPECT_OK(session.Forward({9}, {}, nullptr, absl::MakeSpan(row))); },
       ask(5, 1, of_five)});
  EXPECT_EQ(row, of_nine);
  EXPECT_EQ(gate.loads().back(), (std::pair<int, int64_t>(4, 4)));
}

TEST_F(BackendEngineTest, ALongPromptIsCutWhereOthersDecode) {
  std::vector<int32_t> prompt(30);
  for (int i = 0; i < 30; ++i) prompt[i] = 3 * i;
  const std::vector<float> expected = Feed(*Make(), prompt, 30, nullptr);
  Gate gate;
  const auto engine = Make({}, gate.Options());
  std::vector<float> found(384), logits(384);
  Meet(*engine, gate,
       {[&](Session& session) {
          EXPECT_OK(session.Forward(prompt, {.prefill = true}, nullptr, absl::MakeSpan(found)));
        },
        [&](Session& session) {
          for (int32_t id = 0; id < 8; ++id) {
            EXPECT_OK(session.Forward({id}, {}, nullptr, absl::MakeSpan(logits)));
          }
        }});
  EXPECT_EQ(found, expected);
  int64_t rows = 0;
  for (const auto& [sequences, step_rows] : gate.loads()) {
    EXPECT_LE(step_rows, sequences + 16);
    rows += step_rows;
  }
  EXPECT_EQ(rows, 1 + 30 + 8);
}

TEST_F(BackendEngineTest, SessionsOnSeveralThreadsDoNotMix) {
  const auto engine = Make();
  const std::vector<int32_t> others(kIds.rbegin(), kIds.rend());
  const std::vector<float> first = Feed(*engine, kIds, 1, nullptr);
  const std::vector<float> second = Feed(*engine, others, 1, nullptr);
  std::vector<float> found[2];
  std::thread a([&] { found[0] = Feed(*engine, kIds, 1, nullptr); });
  std::thread b([&] { found[1] = Feed(*engine, others, 1, nullptr); });
  a.join();
  b.join();
  EXPECT_EQ(found[0], first);
  EXPECT_EQ(found[1], second);
}

}  // namespace
}  // namespace parity::engine
