#include "proto/serve/command_line.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace parity::serve {
namespace {

// What a program with the commands "run --count N" and "list" says.
std::string Refusal(const std::vector<const char*>& arguments) {
  CLI::App app("", "program");
  app.require_subcommand(1);
  int count = 0;
  app.add_subcommand("run")->add_option("--count", count)->required()->check(AtLeastZero());
  app.add_subcommand("list");
  std::vector<const char*> argv = {"/somewhere/program"};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  const int argc = static_cast<int>(argv.size());
  try {
    app.parse(argc, argv.data());
  } catch (const CLI::ParseError& error) {
    return UsageError(app, error, argc, argv.data());
  }
  return "";
}

TEST(CommandLineTest, ARefusalNamesWhatAndWhereToReadOn) {
  EXPECT_EQ(Refusal({"frobnicate"}), "there is no command 'frobnicate' (see program --help)");
  EXPECT_EQ(Refusal({}), "A subcommand is required (see program --help)");
  EXPECT_EQ(Refusal({"run"}), "--count is required (see program run --help)");
  EXPECT_EQ(Refusal({"list", "x"}),
            "The following argument was not expected: x (see program list --help)");
  EXPECT_EQ(Refusal({"run", "--count", "-1"}),
            "--count: found -1, expected 0 or more (see program run --help)");
  EXPECT_EQ(Refusal({"run", "--count", "x"}),
            "--count: found x, expected 0 or more (see program run --help)");
  EXPECT_EQ(Refusal({"run", "--count", "0"}), "");
}

TEST(CommandLineTest, TokenIdsNameTheBadOne) {
  EXPECT_EQ(*ParseTokenIds("--tokens", "1, 2,3"), (std::vector<int32_t>{1, 2, 3}));
  EXPECT_TRUE(ParseTokenIds("--tokens", "")->empty());
  EXPECT_EQ(ParseTokenIds("--tokens", "1,x").status().message(),
            "--tokens: 'x' is no token id; expected ids from 0 up, separated by commas");
  EXPECT_FALSE(ParseTokenIds("--tokens", "1,,2").ok());
  EXPECT_FALSE(ParseTokenIds("--tokens", "-1").ok());
  EXPECT_FALSE(ParseTokenIds("--tokens", "2147483648").ok());
}

}  // namespace
}  // namespace parity::serve
