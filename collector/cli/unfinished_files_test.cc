#include "collector/cli/unfinished_files.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

namespace parity::cli {
namespace {

using ::testing::ExitedWithCode;
using ::testing::KilledBySignal;

std::string NewFile(const std::string& name) {
  const std::string path = testing::TempDir() + "/" + name;
  std::ofstream(path) << "half of it";
  return path;
}

TEST(UnfinishedFilesTest, ASignalRemovesThemAndEndsTheProcess) {
  for (const int number : {SIGINT, SIGTERM, SIGHUP}) {
    const std::string file = NewFile("unfinished"), other = NewFile("unfinished-journal");
    EXPECT_EXIT(
        {
          signal(number, SIG_DFL);  // whoever runs the test may ignore it
          const UnfinishedFiles unfinished({file, file + "-not-there", other});
          raise(number);
        },
        KilledBySignal(number), "");
    EXPECT_FALSE(std::filesystem::exists(file));
    EXPECT_FALSE(std::filesystem::exists(other));
  }
}

TEST(UnfinishedFilesTest, AFinishedFileStays) {
  const std::string file = NewFile("finished");
  EXPECT_EXIT(
      {
        signal(SIGINT, SIG_DFL);
        { const UnfinishedFiles unfinished({file}); }
        raise(SIGINT);
      },
      KilledBySignal(SIGINT), "");
  EXPECT_TRUE(std::filesystem::exists(file));
}

TEST(UnfinishedFilesTest, AnIgnoredSignalIsStillIgnored) {
  const std::string file = NewFile("ignored");
  EXPECT_EXIT(
      {
        signal(SIGHUP, SIG_IGN);
        {
          const UnfinishedFiles unfinished({file});
          raise(SIGHUP);
        }
        raise(SIGHUP);
        std::_Exit(std::filesystem::exists(file) ? 7 : 8);
      },
      ExitedWithCode(7), "");
}

}  // namespace
}  // namespace parity::cli
