#include "collector/cli/flags.h"

#include <gtest/gtest.h>

#include <CLI/CLI.hpp>

namespace parity::cli {
namespace {

TEST(FlagsTest, PositionsAreInclusiveRanges) {
  EXPECT_FALSE(ParsePositions("")->last.has_value());
  EXPECT_EQ(ParsePositions("7")->first, 7);
  EXPECT_EQ(*ParsePositions("7")->last, 7);
  EXPECT_EQ(ParsePositions("3-9")->first, 3);
  EXPECT_EQ(*ParsePositions("3-9")->last, 9);
  EXPECT_FALSE(ParsePositions("3-")->last.has_value());
  EXPECT_EQ(*ParsePositions("-9")->last, 9);
  for (const char* bad : {"-", "9-3", "a", "1-b", "1,2", "-1-2", "99999999999"}) {
    EXPECT_FALSE(ParsePositions(bad).ok()) << bad;
  }
}

TEST(FlagsTest, CheckpointsRepeatAndSplitWithoutEatingPositionals) {
  CLI::App app;
  std::string run, positions;
  std::vector<std::string> checkpoints;
  app.add_option("RUN", run);
  AddSelectionFlags(app, &checkpoints, &positions);
  app.parse("--checkpoint logits,embed --checkpoint layer.* my-run --positions -9");
  EXPECT_EQ(checkpoints, (std::vector<std::string>{"logits", "embed", "layer.*"}));
  EXPECT_EQ(run, "my-run");
  EXPECT_EQ(positions, "-9");
}

TEST(FlagsTest, TimeoutsAreSecondsThatAClockCanHold) {
  for (const char* good : {"0", "0.5", "31622400"}) {
    CLI::App app;
    ConnectionOptions options;
    AddConnectionFlags(app, &options);
    EXPECT_NO_THROW(app.parse(std::string("--timeout ") + good)) << good;
  }
  for (const char* bad : {"-1", "nan", "inf", "1e300", "x"}) {
    CLI::App app;
    ConnectionOptions options;
    AddConnectionFlags(app, &options);
    EXPECT_THROW(app.parse(std::string("--timeout ") + bad), CLI::ValidationError) << bad;
  }
}

TEST(FlagsTest, HelpNamesTheFormatsOnce) {
  CLI::App app;
  std::string format;
  AddFormatFlag(app, {"table", "json"}, &format);
  EXPECT_NE(app.help().find("--format {table,json} "), std::string::npos) << app.help();
  EXPECT_THROW(app.parse("--format xml"), CLI::ValidationError);
  app.parse("--format json");
  EXPECT_EQ(format, "json");
}

TEST(FlagsTest, TheReserveIsOfTheDatabasesDisk) {
  CLI::App app;
  ConnectionOptions options;
  AddConnectionFlags(app, &options);
  AddReserveFlag(app, &options);
  app.parse("--db a --min-free-mib 0");
  EXPECT_EQ(options.min_free_mib, 0);
  EXPECT_THROW(app.parse("--collector a:1 --min-free-mib 0"), CLI::RequiresError);
  EXPECT_THROW(app.parse("--db a --min-free-mib -1"), CLI::ValidationError);
}

TEST(FlagsTest, CollectorAndDbExcludeEachOther) {
  CLI::App app;
  ConnectionOptions options;
  AddConnectionFlags(app, &options);
  EXPECT_THROW(app.parse("--collector a:1 --db b"), CLI::ExcludesError);
  EXPECT_THROW(app.parse("--tls-cert a"), CLI::RequiresError);
}

}  // namespace
}  // namespace parity::cli
