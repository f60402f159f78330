// The whole forward pass of the cuda engine on small models, on a card or emulated (card.h): each
// op over the inputs that the cpu engine's f32 numerics recorded, the same bits however it is
// asked, and what it does where memory ends.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <cstring>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "kernels/cpu/cpu_backend.h"
#include "proto/status/status_macros.h"
#include "tests/gpu/bounded_shadow.h"
#include "tests/gpu/card.h"
#include "tests/parity/follow.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/tiny_model.h"
#include "worker/engine/backend_engine.h"
#include "worker/engine/recorder.h"
#include "worker/model/gguf_file.h"

namespace parity::testing {
namespace {

using checkpoint::Stage;
using kernels::DType;
using kernels::KvType;
using kernels::Numerics;
using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr int32_t kTokens = 26;
constexpr int32_t kPrompt = 20;  // one dense step; the others are fed one by one

std::vector<int32_t> Ids() {
  std::vector<int32_t> ids;
  for (int i = 0; i < kTokens; ++i) ids.push_back((i * 37 + 11) % 320);
  return ids;
}

struct Model {
  std::string name;
  TinyModelOptions options;
};

void PrintTo(const Model& model, std::ostream* out) { *out << model.name; }

std::vector<Model> Models() {
  std::vector<Model> models;
  for (DType dtype :
       {DType::kF32, DType::kF16, DType::kBF16, DType::kQ4_0, DType::kQ4_1, DType::kQ8_0}) {
    TinyModelOptions options = {.head_size = 32, .vocabulary = 321};
    options.matrices = options.embedding = dtype;
    models.push_back({kernels::Traits(dtype).name, options});
  }
  TinyModelOptions wide = {.width = 96,
                           .heads = 6,
                           .kv_heads = 1,
                           .head_size = 16,
                           .feed_forward = 160,
                           .vocabulary = 321,
                           .tied = false,
                           .rope_freqs = true,
                           .biases = true,
                           .matrices = DType::kQ8_0,
                           .output = DType::kQ4_1,
                           .seed = 7};
  models.push_back({"untied_biases_factors", wide});
  for (const char* family : {"qwen2", "qwen3", "gemma3"}) {
    TinyModelOptions options = {.architecture = family, .vocabulary = 321, .window_pattern = 2};
    options.matrices = options.embedding = DType::kQ8_0;
    models.push_back({family, options});
  }
  return models;
}

absl::StatusOr<std::shared_ptr<const model::GgufFile>> Write(const TinyModelOptions& options) {
  const std::string path = ::testing::TempDir() + "/forward.gguf";
  RETURN_IF_ERROR(WriteTinyModel(options, path));
  ASSIGN_OR_RETURN(std::shared_ptr<const model::GgufFile> file, model::GgufFile::Open(path));
  return file;
}

KvType KvOf(Numerics numerics) { return numerics == Numerics::kF32 ? KvType::kF32 : KvType::kF16; }

absl::StatusOr<std::unique_ptr<engine::Engine>> Cuda(std::shared_ptr<const model::GgufFile> file,
                                                     const CardOptions& options) {
  ASSIGN_OR_RETURN(auto card, OpenCard(options));
  return engine::BackendEngine::Create(std::move(file), std::move(card),
                                       {.kv_type = KvOf(options.numerics)});
}

// Skips, with the driver's reason, where there is no card.
template <typename Base>
class OnACard : public Base {
 protected:
  void SetUp() override {
    if (const auto card = OpenCard({}); !card.ok()) GTEST_SKIP() << card.status().message();
  }
};

class ForwardTest : public OnACard<::testing::TestWithParam<Model>> {};

TEST_P(ForwardTest, EveryOpAgreesWithTheCpuEngine) {
  const std::vector<int32_t> ids = Ids();
  const Sequence sequence = {.ids = ids, .prompt = kPrompt};
  ASSERT_OK_AND_ASSIGN(const auto file, Write(GetParam().options));
  ASSERT_OK_AND_ASSIGN(auto cpu_backend, kernels::CpuBackend::Create({.numerics = Numerics::kF32}));
  ASSERT_OK_AND_ASSIGN(const auto cpu, engine::BackendEngine::Create(file, std::move(cpu_backend),
                                                                     {.kv_type = KvType::kF32}));
  engine::Recorder reference;
  ASSERT_OK(Follow(*cpu, sequence, &reference));
  for (const Numerics numerics : {Numerics::kF32, Numerics::kNative}) {
    ASSERT_OK_AND_ASSIGN(const auto cuda, Cuda(file, {.numerics = numerics}));
    EXPECT_EQ(cuda->info().engine, "cuda");
    BoundedShadow shadow(reference.recording(), numerics, kSmallModelContext);
    ASSERT_OK(Follow(*cuda, sequence, &shadow));
    EXPECT_EQ(shadow.measured(), kTokens * static_cast<int64_t>(cpu->info().checkpoints.size()));
    std::printf("%-22s %-7s %s\n", GetParam().name.c_str(),
                numerics == Numerics::kF32 ? "f32" : "native", shadow.Summary().c_str());
  }
}

INSTANTIATE_TEST_SUITE_P(Models, ForwardTest, ::testing::ValuesIn(Models()),
                         [](const auto& info) { return info.param.name; });

using Logits = std::vector<std::vector<float>>;

bool SameBits(const Logits& a, const Logits& b) {
  if (a.size() != b.size() || a.empty()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    if (std::memcmp(a[i].data(), b[i].data(), a[i].size() * sizeof(float)) != 0) return false;
  }
  return true;
}

bool LayersLevel(Stage stage, int32_t) {
  return stage == Stage::kLayerOut || stage == Stage::kLogits;
}

// One model, one sequence, and its logits.
class BitsTest : public OnACard<::testing::Test> {
 protected:
  void SetUp() override {
    OnACard::SetUp();
    if (IsSkipped()) return;
    TinyModelOptions options = {.vocabulary = 321};
    options.matrices = options.embedding = DType::kQ4_1;
    ASSERT_OK_AND_ASSIGN(file_, Write(options));
    ASSERT_OK_AND_ASSIGN(cuda_, Cuda(file_, {}));
    ASSERT_OK_AND_ASSIGN(plain_, Follow(*cuda_, sequence_, nullptr));
  }

  // Feeds all of `sequence` and keeps its logits; `failed` where it ended early.
  static absl::StatusOr<Logits> Feed(engine::Session& session, const Sequence& sequence,
                                     int64_t vocabulary) {
    Logits logits;
    std::vector<float> row(vocabulary);
    while (session.position() < static_cast<int32_t>(sequence.ids.size())) {
      ASSIGN_OR_RETURN(const bool wanted,
                       FollowStep(session, sequence, nullptr, absl::MakeSpan(row)));
      if (wanted) logits.push_back(row);
    }
    return logits;
  }

  const std::vector<int32_t> ids_ = Ids();
  const std::vector<int32_t> other_ids_ = std::vector<int32_t>(ids_.rbegin(), ids_.rend());
  const Sequence sequence_ = {.ids = ids_, .prompt = kPrompt};
  const Sequence other_ = {.ids = other_ids_, .prompt = 3};
  std::shared_ptr<const model::GgufFile> file_;
  std::unique_ptr<engine::Engine> cuda_;
  Logits plain_;
};

class DeterminismTest : public BitsTest {};

TEST_F(DeterminismTest, TheSameRequestGivesTheSameBits) {
  for (int i = 0; i < 3; ++i) {
    ASSERT_OK_AND_ASSIGN(const Logits again, Follow(*cuda_, sequence_, nullptr));
    EXPECT_TRUE(SameBits(plain_, again)) << i;
  }
}

TEST_F(DeterminismTest, NeitherAnotherEngineNorTheOrderOfThreadsMatter) {
  ASSERT_OK_AND_ASSIGN(const auto other, Cuda(file_, {.other_order = true}));
  ASSERT_OK_AND_ASSIGN(const Logits logits, Follow(*other, sequence_, nullptr));
  EXPECT_TRUE(SameBits(plain_, logits));
}

// Where only the largest logits are asked for, the row stays on the card.
TEST_F(DeterminismTest, TheLargestLogitsAreThoseOfTheRows) {
  for (const int32_t k : {1, 40, engine::kMostTopLogits}) {
    ASSERT_OK_AND_ASSIGN(const auto session, cuda_->NewSession(kTokens));
    std::vector<float> room(cuda_->info().vocabulary);
    engine::TopLogits top;
    for (const std::vector<float>& row : plain_) {
      const auto ids = session->position() == 0
                           ? absl::MakeConstSpan(ids_).subspan(0, kPrompt)
                           : absl::MakeConstSpan(ids_).subspan(session->position(), 1);
      ASSERT_OK(session->ForwardTop(ids, {.prefill = ids.size() > 1}, nullptr, absl::MakeSpan(room),
                                    k, top));
      const engine::TopLogits expected = engine::TopLogitsOf(row, k);
      ASSERT_EQ(top.values.size(), expected.values.size());
      for (size_t i = 0; i < expected.values.size(); ++i) {
        EXPECT_EQ(top.values[i].id, expected.values[i].id);
        EXPECT_EQ(top.values[i].value, expected.values[i].value);
      }
      EXPECT_NEAR(top.exp_sum, expected.exp_sum, 2 * 6e-6 * expected.exp_sum);
    }
  }
}

class CaptureTest : public BitsTest {};

// Nor does asking for the largest logits alone.
TEST_F(CaptureTest, IsTheSameWhateverIsReadOfTheLogits) {
  engine::Recorder whole, top;
  for (engine::Recorder* recorder : {&whole, &top}) {
    ASSERT_OK_AND_ASSIGN(const auto session, cuda_->NewSession(kTokens));
    std::vector<float> row(cuda_->info().vocabulary);
    engine::TopLogits found;
    for (const int32_t id : other_ids_) {
      if (recorder == &top) {
        ASSERT_OK(session->ForwardTop({id}, {}, recorder, absl::MakeSpan(row), 5, found));
      } else {
        ASSERT_OK(session->Forward({id}, {}, recorder, absl::MakeSpan(row)));
      }
    }
  }
  EXPECT_EQ(whole.recording().values, top.recording().values);
}

// Without an observer a step is repeated as a graph, with one it runs op by op.
TEST_F(CaptureTest, NoLevelChangesABit) {
  engine::Recorder layers(LayersLevel), full;
  ASSERT_OK_AND_ASSIGN(const Logits with_layers, Follow(*cuda_, sequence_, &layers));
  ASSERT_OK_AND_ASSIGN(const Logits with_full, Follow(*cuda_, sequence_, &full));
  EXPECT_TRUE(SameBits(plain_, with_layers));
  EXPECT_TRUE(SameBits(plain_, with_full));
  // What was observed as logits is what was returned.
  for (int32_t t = kPrompt; t < kTokens; ++t) {
    const std::vector<float>* seen = full.recording().Find(Stage::kLogits, -1, t);
    ASSERT_NE(seen, nullptr);
    EXPECT_TRUE(SameBits({*seen}, {plain_[t - kPrompt + 1]})) << t;
  }
}

class SessionsTest : public BitsTest {};

TEST_F(SessionsTest, TakingTurnsChangesNoBit) {
  ASSERT_OK_AND_ASSIGN(const auto first, cuda_->NewSession(kTokens));
  ASSERT_OK_AND_ASSIGN(const auto second, cuda_->NewSession(kTokens));
  std::vector<float> row(cuda_->info().vocabulary), unused(row.size());
  Logits shared;
  while (first->position() < kTokens) {
    ASSERT_OK_AND_ASSIGN(const bool wanted,
                         FollowStep(*first, sequence_, nullptr, absl::MakeSpan(row)));
    if (wanted) shared.push_back(row);
    ASSERT_OK(FollowStep(*second, other_, nullptr, absl::MakeSpan(unused)));
  }
  EXPECT_TRUE(SameBits(plain_, shared));
}

TEST_F(SessionsTest, AtTheSameTimeChangesNoBit) {
  constexpr int kSessions = 3;
  const int64_t vocabulary = cuda_->info().vocabulary;
  ASSERT_OK_AND_ASSIGN(const Logits other, Follow(*cuda_, other_, nullptr));
  std::vector<absl::StatusOr<Logits>> logits(kSessions, absl::UnknownError("not run"));
  std::vector<std::unique_ptr<engine::Session>> sessions(kSessions);
  for (auto& session : sessions) {
    ASSERT_OK_AND_ASSIGN(session, cuda_->NewSession(kTokens));
  }
  std::vector<std::thread> threads;
  for (int i = 0; i < kSessions; ++i) {
    threads.emplace_back(
        [&, i] { logits[i] = Feed(*sessions[i], i == 0 ? sequence_ : other_, vocabulary); });
  }
  for (std::thread& thread : threads) thread.join();
  for (int i = 0; i < kSessions; ++i) {
    ASSERT_OK(logits[i]);
    EXPECT_TRUE(SameBits(i == 0 ? plain_ : other, *logits[i])) << i;
  }
}

class MemoryTest : public BitsTest {};

TEST_F(MemoryTest, AModelBeyondTheLimitIsRefusedWithBothFigures) {
  EXPECT_THAT(Cuda(file_, {.memory_limit = 64 << 10}),
              StatusIs(absl::StatusCode::kResourceExhausted,
                       AllOf(HasSubstr("bytes of device memory needed (weights "),
                             HasSubstr(", working memory "), HasSubstr("), 65536 free on "),
                             HasSubstr("within --gpu-memory-limit"))));
}

TEST_F(MemoryTest, ASessionBeyondTheLimitIsRefusedAndHurtsNobody) {
  constexpr int kMany = 1000;
  ASSERT_OK_AND_ASSIGN(const auto limited, Cuda(file_, {.memory_limit = 4 << 20}));
  std::vector<std::unique_ptr<engine::Session>> sessions;
  absl::Status refused;
  while (refused.ok() && sessions.size() < kMany) {
    auto session = limited->NewSession(256);
    refused = session.status();
    if (session.ok()) sessions.push_back(*std::move(session));
  }
  EXPECT_THAT(refused, StatusIs(absl::StatusCode::kResourceExhausted,
                                AllOf(HasSubstr("KV cache of 256 positions: "),
                                      HasSubstr("bytes of device memory needed, "),
                                      HasSubstr("within --gpu-memory-limit"))));
  ASSERT_FALSE(sessions.empty());
  ASSERT_OK_AND_ASSIGN(const Logits logits,
                       Feed(*sessions[0], sequence_, limited->info().vocabulary));
  EXPECT_TRUE(SameBits(plain_, logits));
  sessions.pop_back();
  EXPECT_OK(limited->NewSession(256));
}

TEST_F(MemoryTest, MoreThanTheCardHasIsRefusedAndBreaksNothing) {
  ASSERT_OK_AND_ASSIGN(const auto card, OpenCard({}));
  EXPECT_THAT(card->NewKvCache({.layers = 1 << 16,
                                .kv_heads = 1 << 16,
                                .head_size = 128,
                                .capacity = 1 << 16,
                                .type = KvType::kF16}),
              StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr(" free on ")));
  EXPECT_OK(card->NewBuffer(1024));
  EXPECT_OK(card->TakeStatus());
}

}  // namespace
}  // namespace parity::testing
