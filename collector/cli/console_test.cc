#include "collector/cli/console.h"

#include <gtest/gtest.h>

#include <sstream>

namespace parity::cli {
namespace {

TEST(ConsoleTest, MessagesAreOneHarmlessLine) {
  std::ostringstream out, err;
  const Console console{out, err};
  console.Message("a\nb \x1b[2J");
  EXPECT_EQ(err.str(), "parity: a; b \\x1b[2J\n");
  EXPECT_EQ(out.str(), "");
}

TEST(ConsoleTest, ColourOnlyWhereItIsOn) {
  std::ostringstream out, err;
  EXPECT_EQ((Console{out, err}).Verdict("DIVERGED"), "DIVERGED");
  const Console colour{out, err, 80, true};
  EXPECT_EQ(colour.Verdict("DIVERGED"), "\x1b[1;31mDIVERGED\x1b[0m");
  EXPECT_EQ(colour.Verdict("other"), "other");
}

TEST(ConsoleTest, ProgressIsSilentWithoutATerminalAndWipesItself) {
  std::ostringstream out, err;
  {
    const Console console{out, err};
    Progress progress(console, "reading");
    progress.Add(1'000'000);
  }
  EXPECT_EQ(err.str(), "");
  {
    const Console console{out, err, 0, false, /*progress=*/true};
    Progress progress(console, "reading");
    progress.Add(1'000'000);
  }
  EXPECT_EQ(err.str(), "\r\x1b[Kreading 1.0 MB\r\x1b[K");
}

}  // namespace
}  // namespace parity::cli
