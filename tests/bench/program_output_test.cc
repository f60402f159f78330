#include "tests/bench/program_output.h"

#include <sys/stat.h>

#include <fstream>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace parity::bench {
namespace {

using parity::testing::StatusIs;
using ::testing::HasSubstr;

// A program in a folder whose name a shell would take apart.
std::string Program(const std::string& text) {
  const std::string folder = ::testing::TempDir() + "/it's \"here\" $HOME; *";
  mkdir(folder.c_str(), 0755);
  const std::string path = folder + "/program";
  std::ofstream(path) << "#!/bin/sh\n" << text;
  chmod(path.c_str(), 0755);
  return path;
}

TEST(ProgramOutputTest, ArgumentsArriveAsTheyAre) {
  const std::string program = Program("for word; do printf '<%s>' \"$word\"; done\n");
  ASSERT_OK_AND_ASSIGN(const std::string output,
                       OutputOf({program, "a b", "it's", "$HOME", "", "--x=\"y\""}));
  EXPECT_EQ(output, "<a b><it's><$HOME><><--x=\"y\">");
}

TEST(ProgramOutputTest, MoreThanAPipeHoldsIsRead) {
  const auto output = OutputOf({"head", "-c", "300000", "/dev/zero"});
  ASSERT_OK(output);
  EXPECT_EQ(output->size(), 300000u);
}

TEST(ProgramOutputTest, WhatFailsIsNamed) {
  const std::string absent = ::testing::TempDir() + "/absent";
  EXPECT_THAT(OutputOf({absent}),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr("cannot run " + absent)));
  EXPECT_THAT(
      OutputOf({Program("echo half; exit 3\n")}),
      StatusIs(absl::StatusCode::kUnavailable, HasSubstr("program ended with exit code 3")));
  EXPECT_THAT(OutputOf({Program("kill -KILL $$\n")}),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr("was ended by signal 9")));
}

}  // namespace
}  // namespace parity::bench
