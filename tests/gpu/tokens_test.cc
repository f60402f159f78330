// What a request is answered with where only the largest logits leave the card: the same tokens as
// from whole rows. The same for the cpu engine.
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "kernels/cpu/cpu_backend.h"
#include "tests/gpu/card.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/tiny_model.h"
#include "worker/engine/backend_engine.h"
#include "worker/model/gguf_file.h"
#include "worker/request/generation.h"
#include "worker/request/sampler.h"
#include "worker/request/stop_signal.h"

namespace parity::testing {
namespace {

using engine::TopLogitsOf;
using request::SamplerOptions;

constexpr int32_t kTokens = 7;
const std::vector<int32_t> kPrompt = {5, 100, 200, 259, 17};

struct Token {
  int32_t id;
  float log_probability;
};

class KeptTokens : public request::EventSink {
 public:
  bool Send(const v1::GenerateEvent& event) override {
    tokens.push_back({event.token().id(), event.token().logprob()});
    return true;
  }
  std::vector<Token> tokens;
};

std::vector<Token> Generate(engine::Engine& engine, const SamplerOptions& sampler) {
  auto session = engine.NewSession(32);
  EXPECT_OK(session);
  request::GenerationJob job;
  job.prompt_ids = kPrompt;
  job.max_tokens = kTokens;
  job.sampler = sampler;
  job.step_tokens = 3;
  KeptTokens kept;
  request::StopSignal stop;
  request::Generation generation(
      job, {**session, engine.info().vocabulary, nullptr, nullptr, {}, stop, kept});
  EXPECT_EQ(generation.Run().generated_tokens(), kTokens);
  return kept.tokens;
}

// Chosen from whole rows.
std::vector<Token> Expected(engine::Engine& engine, const SamplerOptions& options) {
  auto session = engine.NewSession(32);
  EXPECT_OK(session);
  request::Sampler sampler(options);
  std::vector<float> row(engine.info().vocabulary);
  std::vector<Token> tokens;
  // As the generation cuts its prompt: a card's bits depend on how many rows a step has.
  EXPECT_OK((*session)->Forward({kPrompt.data(), 3}, {.logits = engine::LogitsWanted::kNone},
                                nullptr, {}));
  std::vector<int32_t> next(kPrompt.begin() + 3, kPrompt.end());
  while (tokens.size() < kTokens) {
    EXPECT_OK((*session)->Forward(next, {}, nullptr, absl::MakeSpan(row)));
    const auto choice = sampler.Choose(row);
    EXPECT_OK(choice);
    tokens.push_back({choice->id, request::LogProbability(TopLogitsOf(row, 1), choice->logit)});
    next = {choice->id};
  }
  return tokens;
}

std::vector<SamplerOptions> Samplers() {
  return {{},
          {1.5f, 40, 0, 0, 1},
          {1.5f, 40, 0, 0, 2},
          {1.5f, 40, 0.9f, 0, 3},
          {1.5f, 100, 0.9f, 0.05f, 4},
          {1.5f, 1000, 0, 0.01f, 5},  // more than there are
          {1.5f, 0, 0.9f, 0, 6}};     // from the row
}

// tolerance: of log probabilities.
void ExpectTheSameTokens(std::unique_ptr<kernels::Backend> backend, const TinyModelOptions& options,
                         double tolerance) {
  const std::string bytes = TinyModel(options).Serialize();
  auto file = model::GgufFile::FromBytes(
      "tiny.gguf", {reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()});
  ASSERT_OK(file);
  ASSERT_OK_AND_ASSIGN(const auto engine,
                       engine::BackendEngine::Create(*std::move(file), std::move(backend), {}));
  for (const SamplerOptions& sampler : Samplers()) {
    const std::vector<Token> expected = Expected(*engine, sampler),
                             tokens = Generate(*engine, sampler);
    ASSERT_EQ(tokens.size(), expected.size());
    for (int32_t i = 0; i < kTokens; ++i) {
      EXPECT_EQ(tokens[i].id, expected[i].id) << Describe(sampler) << ", token " << i;
      EXPECT_NEAR(tokens[i].log_probability, expected[i].log_probability, tolerance);
    }
  }
}

TinyModelOptions Family(const std::string& architecture) {
  TinyModelOptions options = {.architecture = architecture, .vocabulary = 321, .window_pattern = 2};
  options.matrices = options.embedding = kernels::DType::kQ8_0;
  return options;
}

TEST(TokensTest, TheCpuEnginesLargestLogitsDecideAsItsRowsDo) {
  for (const char* const family : {"llama", "qwen2", "qwen3", "gemma3"}) {
    for (const int threads : {1, 3}) {
      ASSERT_OK_AND_ASSIGN(auto backend, kernels::CpuBackend::Create({.threads = threads}));
      ExpectTheSameTokens(std::move(backend), Family(family), 0);
    }
  }
}

TEST(TokensTest, TheCardsLargestLogitsDecideAsItsRowsDo) {
  auto card = OpenCard({});
  if (!card.ok()) GTEST_SKIP() << card.status().message();
  // Sums of exponentials of another order, within 6e-6 each, and a float's rounding of values below
  // 16.
  ExpectTheSameTokens(*std::move(card), Family("qwen2"), 2 * 6e-6 + 16 * 0x1p-24);
}

}  // namespace
}  // namespace parity::testing
