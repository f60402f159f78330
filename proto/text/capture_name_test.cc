#include "proto/text/capture_name.h"

#include <gtest/gtest.h>

#include <string>

namespace parity::text {
namespace {

TEST(CaptureNameTest, RunsAreNamedWithoutSpaces) {
  for (const std::string& good :
       {std::string("a"), std::string("Prompt-1.v2_b"), std::string(128, 'x')}) {
    EXPECT_TRUE(CheckRunName(good).ok()) << good;
  }
  for (const std::string& bad :
       {std::string(), std::string(129, 'x'), std::string("a b"), std::string("a+b"),
        std::string("a/b"), std::string("caf\u00e9"), std::string("a\0", 2)}) {
    EXPECT_TRUE(absl::IsInvalidArgument(CheckRunName(bad))) << bad;
  }
  EXPECT_EQ(CheckRunName("a/b").message(),
            "run: found 3 bytes, expected 1 to 128 of [A-Za-z0-9._-]");
}

TEST(CaptureNameTest, TeamsAreNamedAsEnginesAndBuildsAre) {
  EXPECT_TRUE(CheckTeamName("llama.cpp b1 + x").ok());
  EXPECT_TRUE(CheckTeamName(std::string(128, 'x')).ok());
  EXPECT_EQ(CheckTeamName("a/b").message(),
            "team: found 3 bytes, expected 1 to 128 of [A-Za-z0-9._+ -]");
  EXPECT_FALSE(CheckTeamName("").ok());
  EXPECT_FALSE(CheckTeamName(std::string(129, 'x')).ok());
}

TEST(CaptureNameTest, ANoteIsUtf8OfLimitedLength) {
  EXPECT_TRUE(CheckNote("").ok());
  EXPECT_TRUE(CheckNote("gr\u00fc\u00dfe\n").ok());
  EXPECT_TRUE(CheckNote(std::string(65536, 'a')).ok());
  EXPECT_EQ(CheckNote(std::string(65537, 'a')).message(),
            "note: found 65537 bytes, expected at most 65536 of UTF-8");
  EXPECT_EQ(CheckNote("\xff").message(), "note: found 1 bytes, expected at most 65536 of UTF-8");
}

}  // namespace
}  // namespace parity::text
