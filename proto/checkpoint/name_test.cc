#include "proto/checkpoint/name.h"

#include <fnmatch.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

namespace parity::checkpoint {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

// Every checkpoint of a model of the llama family (no q_norm, no post_norm).
std::vector<Name> LlamaNames(int layers) {
  std::vector<Name> names;
  for (const StageTraits& traits : Stages()) {
    if (traits.stage == Stage::kAttnQNorm || traits.stage == Stage::kAttnKNorm ||
        traits.stage == Stage::kAttnPostNorm || traits.stage == Stage::kMlpPostNorm) {
      continue;
    }
    for (int layer = 0; layer < (traits.in_layer ? layers : 1); ++layer) {
      names.push_back({traits.stage, traits.in_layer ? layer : -1});
    }
  }
  return names;
}

std::vector<std::string> Texts(const std::vector<Name>& names) {
  std::vector<std::string> texts;
  for (const Name& name : names) texts.push_back(ToString(name));
  return texts;
}

std::vector<std::string> From(absl::string_view name, const std::vector<Name>& model,
                              const std::vector<Name>& recorded) {
  return Texts(MeasuredFrom({*Parse(name)}, model, recorded).front().from);
}

TEST(CheckpointNameTest, StageTableIsInForwardOrder) {
  ASSERT_EQ(Stages().size(), kStageCount);
  for (int i = 0; i < kStageCount; ++i) EXPECT_EQ(static_cast<int>(Stages()[i].stage), i);
}

TEST(CheckpointNameTest, EveryNameParsesBackToItself) {
  for (const StageTraits& traits : Stages()) {
    const Name name{traits.stage, traits.in_layer ? 17 : -1};
    ASSERT_TRUE(Parse(ToString(name)).has_value()) << ToString(name);
    EXPECT_TRUE(*Parse(ToString(name)) == name) << ToString(name);
  }
  EXPECT_EQ(ToString({Stage::kAttnQRope, 3}), "layer.3.attn.q_rope");
  EXPECT_EQ(ToString({Stage::kLayerOut, 0}), "layer.0.out");
}

TEST(CheckpointNameTest, ForeignNamesAreNotParsed) {
  for (const char* text : {"", "out", "layer.attn.q", "layer.-1.attn.q", "layer.03.attn.q",
                           "layer.3", "layer.3.", "layer.3.attn", "Embed", "layer.3.embed",
                           "layer.99999999999.out", "layer.3.attn.q ", "attn.q"}) {
    EXPECT_FALSE(Parse(text).has_value()) << text;
  }
}

TEST(CheckpointNameTest, OrdinalFollowsTheForwardPass) {
  const std::vector<std::string> order = {
      "embed",         "layer.0.attn.norm", "layer.0.attn.q", "layer.0.mlp.down", "layer.0.out",
      "layer.0.extra", "layer.1.attn.norm", "blk.1.extra",    "layer.10.attn.q",  "final.norm",
      "logits",        "something"};
  for (size_t i = 1; i < order.size(); ++i) {
    EXPECT_LT(OrdinalOf(order[i - 1]), OrdinalOf(order[i])) << order[i - 1] << " " << order[i];
  }
}

TEST(CheckpointNameTest, LabelsAndLayers) {
  EXPECT_EQ(StageLabel("layer.3.attn.q"), "attn.q");
  EXPECT_EQ(StageLabel("layer.3.out"), "layer.out");
  EXPECT_EQ(StageLabel("logits"), "logits");
  EXPECT_EQ(StageLabel("kq_soft_max-4"), "kq_soft_max-4");
  EXPECT_EQ(LayerOf("layer.12.out"), 12);
  EXPECT_EQ(LayerOf("embed"), -1);
  EXPECT_EQ(LayerOf("kq_soft_max-4"), 4);
  EXPECT_EQ(LayerOf("model.layers.7.foo"), 7);
  EXPECT_EQ(LayerOf("player.7"), -1);
}

TEST(CheckpointNameTest, StorableNames) {
  EXPECT_TRUE(IsStorable("layer.3.attn.q_rope"));
  EXPECT_TRUE(IsStorable("Qcur-3"));
  EXPECT_TRUE(IsStorable("model/layers/3"));
  EXPECT_TRUE(IsStorable(std::string(128, 'a')));
  EXPECT_FALSE(IsStorable(std::string(129, 'a')));
  EXPECT_FALSE(IsStorable(""));
  EXPECT_FALSE(IsStorable("a b"));
  EXPECT_FALSE(IsStorable(absl::string_view("a\0b", 3)));
  EXPECT_FALSE(IsStorable("a\"b"));
}

TEST(CheckpointNameTest, DirectInputsLookThroughAbsentStages) {
  const std::vector<Name> model = LlamaNames(2);
  auto inputs = [&](absl::string_view n) { return Texts(DirectInputs(*Parse(n), model)); };
  EXPECT_THAT(inputs("embed"), IsEmpty());
  EXPECT_THAT(inputs("layer.0.attn.norm"), ElementsAre("embed"));
  EXPECT_THAT(inputs("layer.1.attn.norm"), ElementsAre("layer.0.out"));
  EXPECT_THAT(inputs("layer.0.attn.q_rope"), ElementsAre("layer.0.attn.q"));
  EXPECT_THAT(inputs("layer.1.attn.context"),
              ElementsAre("layer.1.attn.v", "layer.1.attn.q_rope", "layer.1.attn.k_rope"));
  EXPECT_THAT(inputs("layer.1.attn.residual"), ElementsAre("layer.0.out", "layer.1.attn.out"));
  EXPECT_THAT(inputs("layer.1.out"), ElementsAre("layer.1.attn.residual", "layer.1.mlp.down"));
  EXPECT_THAT(inputs("final.norm"), ElementsAre("layer.1.out"));
  EXPECT_THAT(inputs("logits"), ElementsAre("final.norm"));
}

TEST(CheckpointNameTest, DirectInputsUseThePostNormsWhereTheyExist) {
  std::vector<Name> model = LlamaNames(1);
  model.push_back({Stage::kMlpPostNorm, 0});
  model.push_back({Stage::kAttnQNorm, 0});
  EXPECT_THAT(Texts(DirectInputs(*Parse("layer.0.out"), model)),
              ElementsAre("layer.0.attn.residual", "layer.0.mlp.post_norm"));
  EXPECT_THAT(Texts(DirectInputs(*Parse("layer.0.attn.q_rope"), model)),
              ElementsAre("layer.0.attn.q_norm"));
}

TEST(CheckpointNameTest, MeasuredFromIsTheLastRecordedCheckpoints) {
  const std::vector<Name> model = LlamaNames(30);
  EXPECT_TRUE(MeasuredFrom({*Parse("layer.7.out")}, model, model).front().single_op);

  const std::vector<Name> recorded = {*Parse("embed"), *Parse("layer.0.out"),
                                      *Parse("layer.1.attn.out"), *Parse("layer.1.out")};
  EXPECT_THAT(From("layer.0.out", model, recorded), ElementsAre("embed"));
  EXPECT_FALSE(MeasuredFrom({*Parse("layer.0.out")}, model, recorded).front().single_op);
  EXPECT_THAT(From("layer.1.attn.out", model, recorded), ElementsAre("layer.0.out"));
  EXPECT_THAT(From("layer.1.out", model, recorded), ElementsAre("layer.0.out", "layer.1.attn.out"));
  EXPECT_TRUE(MeasuredFrom({*Parse("layer.1.attn.norm")}, model, recorded).front().single_op);
  // Nothing recorded above: back to the token itself, and in reasonable time for 30 layers.
  EXPECT_THAT(From("logits", model, {}), IsEmpty());
}

TEST(CheckpointNameTest, GlobsAgreeWithFnmatch) {
  const std::vector<std::string> globs = {"*",
                                          "",
                                          "layer.*.attn.q*",
                                          "layer.?.out",
                                          "layer.[0-3].out",
                                          "layer.[!0].out",
                                          "l*o*t*",
                                          "***",
                                          "layer.1?.out",
                                          "[a-e]mbed",
                                          "embed*",
                                          "*embed",
                                          "lo[g]its",
                                          "layer.*.*.q",
                                          "[]e]mbed"};
  const std::vector<std::string> names = {
      "",       "embed",     "layer.0.out", "layer.12.out", "layer.3.attn.q", "layer.3.attn.q_rope",
      "logits", "final.norm"};
  for (const std::string& glob : globs) {
    for (const std::string& name : names) {
      EXPECT_EQ(GlobMatches(glob, name), fnmatch(glob.c_str(), name.c_str(), 0) == 0)
          << glob << " on " << name;
    }
  }
}

TEST(CheckpointNameTest, HostileGlobEnds) {
  std::string glob;
  for (int i = 0; i < 2000; ++i) glob += "*a";
  EXPECT_FALSE(GlobMatches(glob + "b", std::string(1999, 'a')));
  EXPECT_TRUE(GlobMatches("[", "["));
  EXPECT_FALSE(GlobMatches("[a", "a"));
}

}  // namespace
}  // namespace parity::checkpoint
