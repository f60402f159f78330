#include "proto/text/capture_choice.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace parity::text {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(CaptureChoiceTest, ALevelIsOneWord) {
  for (const char* level : {"logits", "layers", "full"}) {
    EXPECT_EQ(ParseCaptureChoice(level).level(), level);
    EXPECT_THAT(ParseCaptureChoice(level).globs(), IsEmpty());
  }
  EXPECT_FALSE(IsCaptureLevel("Full"));
  EXPECT_FALSE(IsCaptureLevel(""));
}

TEST(CaptureChoiceTest, AllElseIsGlobs) {
  const v1::CaptureSpec spec = ParseCaptureChoice("logits, layer.*.out,, ");
  EXPECT_EQ(spec.level(), "");
  EXPECT_THAT(spec.globs(), ElementsAre("logits", "layer.*.out"));
  EXPECT_THAT(ParseCaptureChoice(" , ").globs(), IsEmpty());
}

}  // namespace
}  // namespace parity::text
