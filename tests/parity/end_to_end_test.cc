// The same prompts end to end: what correct engines show here, and that planted errors hide in it.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

#include "tests/parity/metrics.h"
#include "tests/parity/patched_model.h"
#include "tests/parity/smollm2.h"
#include "tests/testing/status_matchers.h"
#include "worker/llama/llama_engine.h"

namespace parity::testing {
namespace {

// What an AVX2 and an AVX-512 build of the same llama.cpp show between themselves on SmolLM2 Q4_1,
// 55 tokens of code.
constexpr LogitsDistance kTwoBuilds = {.nmse_mean = 4.4e-3,
                                       .nmse_max = 4.6e-2,
                                       .kl_mean = 4.2e-3,
                                       .kl_max = 5.2e-2,
                                       .top1_equal = 54,
                                       .rows = 55};
constexpr double kMargin = 1.5;

double Top1Other(const LogitsDistance& d) {
  return static_cast<double>(d.rows - d.top1_equal) / static_cast<double>(d.rows);
}

class SmolLM2EndToEndTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (const std::string why = WhyNoSmolLM2(); !why.empty()) GTEST_SKIP() << why;
  }

  static bool LogitsOnly(engine::Stage stage, int32_t) { return stage == engine::Stage::kLogits; }

  // Logits of every position of a free run.
  static engine::Recording Run(engine::Engine& engine, int prompt) {
    engine::Recorder recorder(LogitsOnly);
    EXPECT_OK(Follow(engine, SmolLM2Sequence(prompt), &recorder));
    return recorder.Take();
  }

  static void Compare(const engine::Recording& reference, const engine::Recording& candidate,
                      LogitsComparison& comparison) {
    for (int32_t position = 0; position < 64; ++position) {
      const auto* a = reference.Find(engine::Stage::kLogits, -1, position);
      const auto* b = candidate.Find(engine::Stage::kLogits, -1, position);
      ASSERT_NE(a, nullptr);
      ASSERT_NE(b, nullptr);
      comparison.Add(*a, *b);
    }
  }

  // libllama, one token a step, against its own capture of the prompt in one.
  static LogitsDistance LlamaAgainstItself() {
    auto llama = llama::LlamaEngine::Create(SmolLM2Path(), {});
    EXPECT_OK(llama);
    LogitsComparison comparison;
    for (int prompt = 0; prompt < kPrompts; ++prompt) {
      engine::Recorder recorder(LogitsOnly);
      Sequence sequence = SmolLM2Sequence(prompt);
      sequence.piece = 1;
      EXPECT_OK(Follow(**llama, sequence, &recorder));
      Compare(LlamaCapture(prompt), recorder.recording(), comparison);
    }
    return comparison.Result();
  }

  static LogitsDistance AgainstLlama(engine::Engine& engine) {
    LogitsComparison comparison;
    for (int prompt = 0; prompt < kPrompts; ++prompt) {
      Compare(LlamaCapture(prompt), Run(engine, prompt), comparison);
    }
    return comparison.Result();
  }

  static void Print(const char* what, const LogitsDistance& d) {
    std::printf("%-34s NMSE %.2e / %.2e  KL %.2e / %.2e  top-1 %lld/%lld\n", what, d.nmse_mean,
                d.nmse_max, d.kl_mean, d.kl_max, static_cast<long long>(d.top1_equal),
                static_cast<long long>(d.rows));
  }

  static const LogitsDistance& LlamaSelf() {
    static const LogitsDistance self = LlamaAgainstItself();
    return self;
  }

  // The plateau: the larger of what two builds show on code and what this build shows against
  // itself on these very prompts, one token a step instead of the prompt in one (the same file, the
  // same kernels, nothing wrong anywhere). Extremes and near-ties are the prompts' own: the code
  // that two builds were measured on has fewer than the others.
  static void ExpectWithinPlateau(const LogitsDistance& d) {
    const LogitsDistance& self = LlamaSelf();
    EXPECT_LE(d.nmse_mean, kMargin * std::max(kTwoBuilds.nmse_mean, self.nmse_mean));
    EXPECT_LE(d.nmse_max, kMargin * std::max(kTwoBuilds.nmse_max, self.nmse_max));
    EXPECT_LE(d.kl_mean, kMargin * std::max(kTwoBuilds.kl_mean, self.kl_mean));
    EXPECT_LE(d.kl_max, kMargin * std::max(kTwoBuilds.kl_max, self.kl_max));
    EXPECT_LE(Top1Other(d), kMargin * std::max(Top1Other(kTwoBuilds), Top1Other(self)));
  }
};

TEST_F(SmolLM2EndToEndTest, NativeIsAsFarFromLlamaAsLlamaBuildsAreFromEachOther) {
  ASSERT_OK_AND_ASSIGN(const auto native, CpuEngine({.threads = 2}));
  ASSERT_OK_AND_ASSIGN(
      const auto f32,
      CpuEngine({.threads = 2, .numerics = kernels::Numerics::kF32}, kernels::KvType::kF32));
  LogitsComparison native_llama, f32_native;
  for (int prompt = 0; prompt < kPrompts; ++prompt) {
    const engine::Recording run = Run(*native, prompt);
    Compare(LlamaCapture(prompt), run, native_llama);
    Compare(Run(*f32, prompt), run, f32_native);
  }
  Print("llama.cpp, one token a step", LlamaSelf());
  Print("llama.cpp against cpu native", native_llama.Result());
  Print("cpu f32 against cpu native", f32_native.Result());
  ExpectWithinPlateau(native_llama.Result());
}

// The three errors that the shadow run locates (shadow_test.cc) look end to end like a correct
// engine.
TEST_F(SmolLM2EndToEndTest, PlantedErrorsHideInThePlateau) {
  ASSERT_OK_AND_ASSIGN(auto scaled,
                       WithScaledBlock(SmolLM2Path(), "blk.12.ffn_up.weight", 100, 3, 1.01f));
  ASSERT_OK_AND_ASSIGN(const auto scaled_engine,
                       CpuEngine({.threads = 2}, kernels::KvType::kF16, std::move(scaled)));
  const LogitsDistance by_scale = AgainstLlama(*scaled_engine);
  Print("one block's scale x 1.01", by_scale);
  ExpectWithinPlateau(by_scale);

  std::vector<float> factors(32, 1.0f);
  factors[12] = 1.0f / 1.001f;
  ASSERT_OK_AND_ASSIGN(auto turned, WithVector(SmolLM2Path(), "rope_freqs.weight", factors));
  ASSERT_OK_AND_ASSIGN(const auto turned_engine,
                       CpuEngine({.threads = 2}, kernels::KvType::kF16, std::move(turned)));
  const LogitsDistance by_angle = AgainstLlama(*turned_engine);
  Print("one RoPE pair's angle x 1.001", by_angle);
  ExpectWithinPlateau(by_angle);

  ASSERT_OK_AND_ASSIGN(
      const auto reciprocal_engine,
      CpuEngine(
          {.threads = 2, .activations = kernels::ActivationQuantization::kPlantedInverseOfScale}));
  const LogitsDistance by_reciprocal = AgainstLlama(*reciprocal_engine);
  Print("activations by 1/d", by_reciprocal);
  ExpectWithinPlateau(by_reciprocal);
}

}  // namespace
}  // namespace parity::testing
