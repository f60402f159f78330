#include "worker/llama/llama_engine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <vector>

#include "kernels/dtype.h"
#include "proto/checkpoint/name.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/tiny_model.h"
#include "worker/engine/recorder.h"

namespace parity::llama {
namespace {

using checkpoint::Stage;
using engine::LogitsWanted;
using parity::testing::StatusIs;
using ::testing::HasSubstr;

constexpr int32_t kIds[] = {5, 100, 200, 259, 17, 42, 8, 300};

class LlamaEngineTest : public ::testing::Test {
 protected:
  void SetUp() override {
    path_ = ::testing::TempDir() + "/llama_engine_test.gguf";
    ASSERT_OK(parity::testing::WriteTinyModel({}, path_));
    const auto probe = LlamaEngine::Create(path_, {});
    if (absl::IsUnimplemented(probe.status())) GTEST_SKIP() << probe.status().message();
  }

  static std::unique_ptr<engine::Engine> Make(const std::string& path, LlamaOptions options = {}) {
    auto made = LlamaEngine::Create(path, options);
    EXPECT_OK(made);
    return made.ok() ? *std::move(made) : nullptr;
  }

  // Feeds kIds in pieces of `piece`; returns the last logits.
  static std::vector<float> Feed(engine::Engine& engine, int32_t piece,
                                 engine::Observer* observer) {
    auto session = engine.NewSession(32);
    EXPECT_OK(session);
    std::vector<float> logits(engine.info().vocabulary);
    const absl::Span<const int32_t> ids = kIds;
    for (size_t at = 0; at < ids.size(); at += piece) {
      const auto part = ids.subspan(at, piece);
      const bool last = at + part.size() == ids.size();
      EXPECT_OK((*session)->Forward(part,
                                    {.logits = last ? LogitsWanted::kLast : LogitsWanted::kNone},
                                    observer, absl::MakeSpan(logits)));
    }
    EXPECT_EQ((*session)->position(), static_cast<int32_t>(ids.size()));
    return logits;
  }

  std::string path_;
};

TEST_F(LlamaEngineTest, InfoDescribesModelAndLibrary) {
  const auto engine = Make(path_, {.threads = 2, .kv_type = kernels::KvType::kF32});
  const engine::EngineInfo& info = engine->info();
  EXPECT_EQ(info.engine, "llama");
  EXPECT_EQ(info.architecture, "llama");
  EXPECT_EQ(info.weight_type, "F32");
  EXPECT_EQ(info.kv_type, "f32");
  EXPECT_EQ(info.threads, 2);
  EXPECT_EQ(info.layers, 2);
  EXPECT_EQ(info.width, 64);
  EXPECT_EQ(info.heads, 4);
  EXPECT_EQ(info.kv_heads, 2);
  EXPECT_EQ(info.head_size, 16);
  EXPECT_EQ(info.feed_forward, 96);
  EXPECT_EQ(info.vocabulary, 384);
  EXPECT_EQ(info.context_tokens, 256);
  EXPECT_THAT(info.engine_version, HasSubstr("llama.cpp"));
  EXPECT_THAT(info.extra.at("ggml_cpu_library"), HasSubstr("libggml-cpu"));
  EXPECT_EQ(info.checkpoints.size(), 3u + 2 * 15);
  EXPECT_FALSE(engine->can_substitute());
}

// Every checkpoint at every position, whatever the pieces, with biases, fused shapes and untied
// heads too.
TEST_F(LlamaEngineTest, FullCaptureIsWholeForAnyPieceSize) {
  for (const bool variant : {false, true}) {
    parity::testing::TinyModelOptions options;
    options.biases = options.rope_freqs = variant;
    options.tied = !variant;
    options.head_size = variant ? 32 : 0;
    ASSERT_OK(parity::testing::WriteTinyModel(options, path_));
    const auto engine = Make(path_, {.max_step_tokens = 8});
    for (const int32_t piece : {1, 3, 8}) {
      SCOPED_TRACE(piece);
      engine::Recorder recorder;
      const std::vector<float> logits = Feed(*engine, piece, &recorder);
      EXPECT_EQ(recorder.begun(), recorder.ended());
      EXPECT_EQ(recorder.asked(), static_cast<int>(engine->info().checkpoints.size()));
      for (const checkpoint::Name& name : engine->info().checkpoints) {
        for (int32_t position = 0; position < 8; ++position) {
          EXPECT_NE(recorder.recording().Find(name.stage, name.layer, position), nullptr)
              << checkpoint::ToString(name) << " at " << position;
        }
      }
      const auto* row = recorder.recording().Find(Stage::kLogits, -1, 7);
      ASSERT_NE(row, nullptr);
      EXPECT_EQ(*row, logits);
    }
  }
}

TEST_F(LlamaEngineTest, ShapesAndHeadsAreTheTables) {
  const auto engine = Make(path_);
  engine::Recorder recorder;
  Feed(*engine, 8, &recorder);
  const engine::Recording& r = recorder.recording();
  EXPECT_EQ(r.Find(Stage::kAttnQ, 1, 0)->size(), 64u);
  EXPECT_EQ(r.Find(Stage::kAttnKRope, 1, 0)->size(), 32u);
  EXPECT_EQ(r.Find(Stage::kMlpAct, 1, 0)->size(), 96u);
  EXPECT_EQ(r.Find(Stage::kLogits, -1, 0)->size(), 384u);
  EXPECT_EQ(r.heads.at({1, Stage::kAttnQRope}), 4);
  EXPECT_EQ(r.heads.at({1, Stage::kAttnV}), 2);
  EXPECT_EQ(r.heads.at({1, Stage::kAttnContext}), 0);
}

// The embedding is the file's own row, the residual stream adds up, RoPE at position 0 is the
// identity: facts that hold only if each name stands for the right node.
TEST_F(LlamaEngineTest, NamesStandForTheRightNodes) {
  const auto engine = Make(path_);
  engine::Recorder recorder;
  Feed(*engine, 8, &recorder);
  const engine::Recording& r = recorder.recording();
  for (int32_t layer = 0; layer < 2; ++layer) {
    EXPECT_EQ(*r.Find(Stage::kAttnQ, layer, 0), *r.Find(Stage::kAttnQRope, layer, 0));
    EXPECT_EQ(*r.Find(Stage::kAttnK, layer, 0), *r.Find(Stage::kAttnKRope, layer, 0));
    EXPECT_NE(*r.Find(Stage::kAttnQ, layer, 3), *r.Find(Stage::kAttnQRope, layer, 3));
    for (int32_t p = 0; p < 8; ++p) {
      const auto& input =
          layer == 0 ? *r.Find(Stage::kEmbed, -1, p) : *r.Find(Stage::kLayerOut, layer - 1, p);
      const auto& out = *r.Find(Stage::kAttnOut, layer, p);
      const auto& residual = *r.Find(Stage::kAttnResidual, layer, p);
      const auto& down = *r.Find(Stage::kMlpDown, layer, p);
      const auto& layer_out = *r.Find(Stage::kLayerOut, layer, p);
      for (size_t i = 0; i < input.size(); ++i) {
        ASSERT_EQ(residual[i], input[i] + out[i]);
        ASSERT_EQ(layer_out[i], residual[i] + down[i]);
      }
    }
  }
}

// llama.cpp multiplies one row and several rows by different code for F32 weights, so what is
// observed may change the last bits only by the number of rows that it makes libllama compute in
// the last layer.
TEST_F(LlamaEngineTest, ObservingItselfChangesNoBit) {
  const auto engine = Make(path_);
  engine::Recorder all;
  engine::Recorder head([](Stage stage, int32_t) { return stage == Stage::kLogits; });
  engine::Recorder first_layer([](Stage, int32_t layer) { return layer == 0; });
  EXPECT_EQ(Feed(*engine, 8, &first_layer), Feed(*engine, 8, nullptr));
  EXPECT_EQ(Feed(*engine, 8, &head), Feed(*engine, 8, &all));
  EXPECT_EQ(head.recording().values.size(), 1u);
  EXPECT_EQ(first_layer.recording().values.size(), 15u);
}

TEST_F(LlamaEngineTest, RefusesWhatItCannotDo) {
  const auto engine = Make(path_, {.max_step_tokens = 4});
  EXPECT_THAT(engine->NewSession(0), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("0")));
  EXPECT_THAT(engine->NewSession(257),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("257")));
  ASSERT_OK_AND_ASSIGN(auto session, engine->NewSession(5));
  std::vector<float> logits(384);
  const auto forward = [&](std::vector<int32_t> ids) {
    return session->Forward(ids, {}, nullptr, absl::MakeSpan(logits));
  };
  EXPECT_THAT(forward({}), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("none")));
  EXPECT_THAT(forward({1, 384}), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("ids[1]")));
  EXPECT_THAT(forward({1, 2, 3, 4, 5}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("4")));
  EXPECT_OK(forward({1, 2, 3}));
  EXPECT_THAT(forward({4, 5, 6}), StatusIs(absl::StatusCode::kOutOfRange, HasSubstr("5")));
  EXPECT_OK(forward({4, 5}));
  EXPECT_THAT(forward({6}), StatusIs(absl::StatusCode::kOutOfRange, HasSubstr("5")));
}

class FailingObserver : public engine::Recorder {
 public:
  absl::Status Observe(Stage stage, int32_t layer, const engine::MutableTensorView&) override {
    ++observed;
    return stage == Stage::kMlpNorm ? absl::DataLossError("disk") : absl::OkStatus();
  }
  int observed = 0;
};

TEST_F(LlamaEngineTest, ObserverErrorAndStopEndTheStep) {
  const auto engine = Make(path_);
  std::vector<float> logits(384);
  FailingObserver failing;
  ASSERT_OK_AND_ASSIGN(auto session, engine->NewSession(32));
  EXPECT_THAT(session->Forward(kIds, {}, &failing, absl::MakeSpan(logits)),
              StatusIs(absl::StatusCode::kDataLoss, "disk"));
  EXPECT_LT(failing.observed, 15);  // nothing is shown after the error
  EXPECT_EQ(failing.ended(), 0);
  EXPECT_THAT(session->Forward(kIds, {}, nullptr, absl::MakeSpan(logits)),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("session")));

  ASSERT_OK_AND_ASSIGN(session, engine->NewSession(32));
  const std::atomic<bool> stop = true;
  EXPECT_THAT(session->Forward(kIds, {.stop = &stop}, nullptr, absl::MakeSpan(logits)),
              StatusIs(absl::StatusCode::kCancelled, "stopped"));
}

class SubstitutingObserver : public engine::Recorder {
 public:
  bool Substitutes() const override { return true; }
};

TEST_F(LlamaEngineTest, SubstitutionIsUnimplemented) {
  const auto engine = Make(path_);
  ASSERT_OK_AND_ASSIGN(auto session, engine->NewSession(32));
  std::vector<float> logits(384);
  SubstitutingObserver observer;
  EXPECT_THAT(session->Forward(kIds, {}, &observer, absl::MakeSpan(logits)),
              StatusIs(absl::StatusCode::kUnimplemented, HasSubstr("substituted")));
}

TEST_F(LlamaEngineTest, SayWhatIsWrongWithAFile) {
  EXPECT_THAT(LlamaEngine::Create(path_ + ".absent", {}),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("absent")));
  parity::testing::GgufWriter writer;
  writer.AddString("general.architecture", "llama");
  ASSERT_OK(writer.Write(path_));
  EXPECT_THAT(LlamaEngine::Create(path_, {}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("libllama does not load it")));
  EXPECT_THAT(LlamaEngine::Create(path_, {.threads = 0}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("0 threads")));
}

}  // namespace
}  // namespace parity::llama
