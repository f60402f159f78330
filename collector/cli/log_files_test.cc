#include "collector/cli/log_files.h"

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>
#include <string>

namespace parity::cli {
namespace {

std::string Write(const std::string& name, const std::string& bytes) {
  const std::string path = testing::TempDir() + "/" + name;
  std::ofstream(path, std::ios::binary) << bytes;
  return path;
}

std::string ReadAll(LogFiles& files) {
  std::string all;
  EXPECT_TRUE(files
                  .Read([&](absl::string_view piece) {
                    all.append(piece.data(), piece.size());
                    return true;
                  })
                  .ok());
  return all;
}

TEST(LogFilesTest, FilesBecomeOneStreamAndPlacesGoBack) {
  const std::string a = Write("a.jsonl", "1\n2"), b = Write("b.jsonl", "\xEF\xBB\xBFx\ny\n");
  std::istringstream in("s\n");
  LogFiles files({a, b, "-"}, in);
  ASSERT_TRUE(files.CheckReadable().ok());
  EXPECT_EQ(ReadAll(files), "1\n2\nx\ny\ns\n");
  EXPECT_EQ(files.Locate("logs:2: bad"), a + ":2: bad");
  EXPECT_EQ(files.Locate("import: logs:3: bad"), "import: " + b + ":1: bad");
  EXPECT_EQ(files.Locate("logs:5"), "standard input:1");
  EXPECT_EQ(files.Locate("no place"), "no place");
  EXPECT_EQ(files.Locate("logs:x"), "logs:x");
}

TEST(LogFilesTest, OneFileIsHandedOutByteForByte) {
  const std::string bytes = "\xEF\xBB\xBF" + std::string(700'000, 'x');
  const std::string path = Write("one.jsonl", bytes);
  std::istringstream in;
  LogFiles files({path}, in);
  EXPECT_EQ(files.SourceName(), path);
  EXPECT_EQ(ReadAll(files), bytes);
  EXPECT_EQ(files.Locate("logs:1: as it is"), "logs:1: as it is");
}

TEST(LogFilesTest, StopsWhenTheReceiverHasEnough) {
  const std::string path = Write("long.jsonl", std::string(700'000, 'x'));
  std::istringstream in;
  LogFiles files({path, path}, in);
  int pieces = 0;
  EXPECT_TRUE(files.Read([&](absl::string_view) { return ++pieces < 2; }).ok());
  EXPECT_EQ(pieces, 2);
}

TEST(LogFilesTest, WhatIsNotThereIsNamed) {
  std::istringstream in;
  EXPECT_EQ(LogFiles({"no-such.jsonl"}, in).CheckReadable().message(),
            "no-such.jsonl: No such file or directory");
  EXPECT_EQ(LogFiles({testing::TempDir()}, in).CheckReadable().code(),
            absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace parity::cli
