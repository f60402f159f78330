// The product's sharpest tool against the real model: the cpu engine op by op over libllama's
// recorded inputs.
#include "tests/parity/shadow.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <iostream>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "tests/parity/patched_model.h"
#include "tests/parity/smollm2.h"
#include "tests/testing/status_matchers.h"
#include "worker/model/gguf_file.h"
#include "worker/model/model_config.h"

namespace parity::testing {
namespace {

class SmolLM2ShadowTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (const std::string why = WhyNoSmolLM2(); !why.empty()) GTEST_SKIP() << why;
  }

  static ShadowFindings Shadow(int prompt, engine::Engine& engine) {
    const auto file = model::GgufFile::Open(SmolLM2Path());
    EXPECT_OK(file);
    const auto config = model::ReadConfig(**file);
    EXPECT_OK(config);
    ShadowObserver observer(LlamaCapture(prompt), *config);
    EXPECT_OK(Follow(engine, SmolLM2Sequence(prompt), &observer));
    return observer.Findings();
  }

  static std::vector<std::string> Names(const std::vector<SiteError>& sites) {
    std::vector<std::string> names;
    for (const SiteError& site : sites) names.push_back(site.Name());
    return names;
  }
};

TEST_F(SmolLM2ShadowTest, EveryOpAgreesWithLlamaOnEveryPrompt) {
  ASSERT_OK_AND_ASSIGN(const auto engine, CpuEngine({.threads = 2}));
  for (int prompt = 0; prompt < kPrompts; ++prompt) {
    SCOPED_TRACE(kPromptNames[prompt]);
    const ShadowFindings found = Shadow(prompt, *engine);
    std::cout << "shadow of cpu native over llama.cpp, " << kPromptNames[prompt] << "\n"
              << found.Table();
    EXPECT_EQ(found.unmeasured, 0);
    EXPECT_EQ(found.measured, 64 * (3 + 30 * 15));
    for (const SiteError& site : found.AboveFloor()) {
      ADD_FAILURE() << site.Name() << " position " << site.position << ": NMSE " << site.nmse
                    << ", unexplained " << site.unexplained << " above " << kShadowFloor;
    }
    for (const SiteError& site : found.sites) {
      if (site.stage != Stage::kAttnContext) continue;
      EXPECT_LE(site.nmse, kContextFlipFloor) << site.Name();
    }
  }
}

// A planted error and where it must show: nowhere else, and there far above the floor.
TEST_F(SmolLM2ShadowTest, LocatesOneWeightBlocksScaleOffByOnePercent) {
  ASSERT_OK_AND_ASSIGN(auto file,
                       WithScaledBlock(SmolLM2Path(), "blk.12.ffn_up.weight", 100, 3, 1.01f));
  ASSERT_OK_AND_ASSIGN(const auto engine,
                       CpuEngine({.threads = 2}, kernels::KvType::kF16, std::move(file)));
  const ShadowFindings found = Shadow(0, *engine);
  std::cout << "one block's scale x 1.01\n" << found.Table();
  EXPECT_THAT(Names(found.AboveFloor()), ::testing::ElementsAre("layer.12.mlp.up"));
}

TEST_F(SmolLM2ShadowTest, LocatesOneRopePairsAngleOffByAThousandth) {
  std::vector<float> factors(32, 1.0f);
  factors[12] = 1.0f / 1.001f;  // the angle is divided by the factor
  ASSERT_OK_AND_ASSIGN(auto file, WithVector(SmolLM2Path(), "rope_freqs.weight", factors));
  ASSERT_OK_AND_ASSIGN(const auto engine,
                       CpuEngine({.threads = 2}, kernels::KvType::kF16, std::move(file)));
  const ShadowFindings found = Shadow(0, *engine);
  std::cout << "one RoPE pair's angle x 1.001\n" << found.Table();
  std::vector<std::string> expected;
  for (int layer = 0; layer < 30; ++layer) {
    expected.push_back(absl::StrCat("layer.", layer, ".attn.q_rope"));
    expected.push_back(absl::StrCat("layer.", layer, ".attn.k_rope"));
  }
  EXPECT_EQ(Names(found.AboveFloor()), expected);
}

TEST_F(SmolLM2ShadowTest, LocatesActivationsQuantisedByTheReciprocalOfTheScale) {
  ASSERT_OK_AND_ASSIGN(
      const auto engine,
      CpuEngine(
          {.threads = 2, .activations = kernels::ActivationQuantization::kPlantedInverseOfScale}));
  const ShadowFindings found = Shadow(0, *engine);
  std::cout << "activations by 1/d\n" << found.Table();
  // Only products quantise activations: nothing else may show, and products of several layers must.
  const std::set<Stage> products = {Stage::kAttnQ,   Stage::kAttnK,   Stage::kAttnV,
                                    Stage::kAttnOut, Stage::kMlpGate, Stage::kMlpUp,
                                    Stage::kMlpDown, Stage::kLogits};
  std::set<Stage> stages;
  for (const SiteError& site : found.AboveFloor()) {
    stages.insert(site.stage);
    EXPECT_TRUE(products.count(site.stage)) << site.Name() << " " << site.nmse;
  }
  EXPECT_TRUE(stages.count(Stage::kMlpDown));
}

}  // namespace
}  // namespace parity::testing
