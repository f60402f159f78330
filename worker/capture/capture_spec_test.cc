#include "worker/capture/capture_spec.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proto/text/capture_choice.h"
#include "tests/testing/status_matchers.h"

namespace parity::capture {
namespace {

using checkpoint::Name;
using checkpoint::Stage;
using parity::testing::StatusIs;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

std::vector<Name> Model() {
  std::vector<Name> names = {{Stage::kEmbed, -1}};
  for (int32_t layer = 0; layer < 2; ++layer) {
    names.push_back({Stage::kAttnQ, layer});
    names.push_back({Stage::kAttnQRope, layer});
    names.push_back({Stage::kLayerOut, layer});
  }
  names.push_back({Stage::kFinalNorm, -1});
  names.push_back({Stage::kLogits, -1});
  return names;
}

std::vector<std::string> Selected(const std::string& text) {
  auto selection = Selection::Select(text::ParseCaptureChoice(text), Model());
  EXPECT_OK(selection);
  std::vector<std::string> names;
  if (!selection.ok()) return names;
  for (const Name name : selection->names()) {
    names.push_back(checkpoint::ToString(name));
    EXPECT_TRUE(selection->Wants(name.stage, name.layer));
  }
  return names;
}

TEST(CaptureSpecTest, LevelsSelectWhatTheyName) {
  EXPECT_THAT(Selected("logits"), ElementsAre("logits"));
  EXPECT_THAT(Selected("layers"),
              ElementsAre("embed", "layer.0.out", "layer.1.out", "final.norm", "logits"));
  EXPECT_EQ(Selected("full").size(), Model().size());
}

TEST(CaptureSpecTest, GlobsSelectInForwardOrderWhateverTheirOwn) {
  EXPECT_THAT(Selected("logits, layer.*.attn.q*"),
              ElementsAre("layer.0.attn.q", "layer.0.attn.q_rope", "layer.1.attn.q",
                          "layer.1.attn.q_rope", "logits"));
}

TEST(CaptureSpecTest, WhatIsNotSelectedIsNotWanted) {
  ASSERT_OK_AND_ASSIGN(const Selection selection,
                       Selection::Select(text::ParseCaptureChoice("layer.1.out"), Model()));
  EXPECT_TRUE(selection.Wants(Stage::kLayerOut, 1));
  EXPECT_FALSE(selection.Wants(Stage::kLayerOut, 0));
  EXPECT_FALSE(selection.Wants(Stage::kLogits, -1));
  EXPECT_FALSE(selection.Wants(Stage::kAttnQ, 99));
}

TEST(CaptureSpecTest, EveryGlobThatMatchesNothingIsNamed) {
  EXPECT_THAT(
      Selection::Select(text::ParseCaptureChoice("logits,layer.7.*,mlp"), Model()),
      StatusIs(absl::StatusCode::kInvalidArgument,
               AllOf(HasSubstr("'layer.7.*'"), HasSubstr("'mlp'"), Not(HasSubstr("'logits'")))));
}

TEST(CaptureSpecTest, BadSpecsAreRefused) {
  v1::CaptureSpec spec;
  EXPECT_THAT(Selection::Select(spec, Model()),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("level or globs")));
  spec.set_level("everything");
  EXPECT_THAT(Selection::Select(spec, Model()),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("capture.level")));
  spec.set_level("full");
  spec.add_globs("logits");
  EXPECT_THAT(Selection::Select(spec, Model()),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("level or globs")));
  spec.clear_globs();
  spec.set_max_elements(-1);
  EXPECT_THAT(Selection::Select(spec, Model()),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("max_elements: found -1")));
}

TEST(CaptureSpecTest, BytesPerTokenCoverValuesAndRespectThePrefix) {
  engine::EngineInfo info;
  info.width = 8;
  info.heads = 4;
  info.kv_heads = 2;
  info.head_size = 3;
  info.feed_forward = 20;
  info.vocabulary = 1000;
  EXPECT_EQ(ElementsOf({Stage::kAttnQRope, 0}, info), 12);
  EXPECT_EQ(ElementsOf({Stage::kAttnV, 0}, info), 6);
  EXPECT_EQ(ElementsOf({Stage::kMlpAct, 0}, info), 20);
  EXPECT_EQ(ElementsOf({Stage::kAttnOut, 0}, info), 8);
  ASSERT_OK_AND_ASSIGN(const Selection whole,
                       Selection::Select(text::ParseCaptureChoice("logits"), Model()));
  EXPECT_GE(BytesPerToken(whole, info), 4000);
  EXPECT_LE(BytesPerToken(whole, info), 4200);
  v1::CaptureSpec spec = text::ParseCaptureChoice("logits");
  spec.set_max_elements(10);
  ASSERT_OK_AND_ASSIGN(const Selection prefix, Selection::Select(spec, Model()));
  EXPECT_LE(BytesPerToken(prefix, info), 240);
}

}  // namespace
}  // namespace parity::capture
