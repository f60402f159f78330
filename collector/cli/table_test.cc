#include "collector/cli/table.h"

#include <gtest/gtest.h>

#include <limits>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>

#include "collector/cli/text.h"

namespace parity::cli {
namespace {

Table Sample() {
  Table table({{"name", "name", false, true}, {"bytes", "size", true}, {"nmse", "nmse", true}});
  table.AddRow({Cell::Text("日本 run"), Cell::Bytes(93'100'000), Cell::Number(1.25e-7)});
  table.AddRow({Cell::Text("b|\"c,\n"), Cell::Missing(), Cell::Number(1.0 / 3)});
  return table;
}

TEST(TableTest, AlignsByDisplayWidthAndNumbersToTheRight) {
  EXPECT_EQ(Sample().Render(Format::kTable, 0),
            "name         size      nmse\n"
            "日本 run  93.1 MB  1.25e-07\n"
            "b|\"c,\\n         -     0.333\n");
}

TEST(TableTest, ShrinksOnlyShrinkableColumnsToTheTerminal) {
  Table table({{"a", "a", false, true}, {"b", "b", false, false}});
  table.AddRow({Cell::Text(std::string(60, 'x')), Cell::Text(std::string(20, 'y'))});
  std::istringstream lines(table.Render(Format::kTable, 50));
  for (std::string line; std::getline(lines, line);) EXPECT_LE(DisplayWidth(line), 50);
  EXPECT_NE(table.Render(Format::kTable, 50).find(std::string(20, 'y')), std::string::npos);
  // Not even 8 columns fit: keep them readable rather than empty.
  EXPECT_NE(table.Render(Format::kTable, 10).find("xxxxxxx…"), std::string::npos);
}

TEST(TableTest, LeavesColumnsOutBeforeItCutsAnyShortAndSaysWhich) {
  Table table({{"a", "a", false, true}, {"b", "bb", true, false, 1}, {"c", "cc", true, false, 2}});
  table.AddRow({Cell::Text("a long name"), Cell::Int(12345), Cell::Int(67890)});
  EXPECT_EQ(table.Render(Format::kTable, 25),
            "a               bb     cc\n"
            "a long name  12345  67890\n");
  EXPECT_EQ(table.Render(Format::kTable, 24),
            "a               bb\n"
            "a long name  12345\n"
            "left out: cc\n");
  EXPECT_EQ(table.Render(Format::kTable, 9),
            "a\n"
            "a long n…\n"
            "left out: bb, cc\n");
  EXPECT_EQ(table.Render(Format::kCsv, 9), "a,b,c\na long name,12345,67890\n");
}

TEST(TableTest, CsvQuotesAndKeepsFullPrecision) {
  EXPECT_EQ(Sample().Render(Format::kCsv, 0),
            "name,bytes,nmse\n"
            "日本 run,93100000,1.25e-07\n"
            "\"b|\"\"c,\n\",,0.3333333333333333\n");
}

TEST(TableTest, JsonParsesBackAndHasNoNaN) {
  Table table = Sample();
  table.AddRow(
      {Cell::Text("\xff"), Cell::Int(-1), Cell::Number(std::numeric_limits<double>::quiet_NaN())});
  const auto parsed = nlohmann::json::parse(table.Render(Format::kJson, 0), nullptr, false);
  ASSERT_TRUE(parsed.is_array());
  ASSERT_EQ(parsed.size(), 3);
  EXPECT_EQ(parsed[0]["bytes"], 93'100'000);
  EXPECT_EQ(parsed[1]["name"], "b|\"c,\n");
  EXPECT_TRUE(parsed[1]["bytes"].is_null());
  EXPECT_TRUE(parsed[2]["nmse"].is_null());
  std::istringstream lines(table.Render(Format::kJsonl, 0));
  int count = 0;
  for (std::string line; std::getline(lines, line); ++count) {
    EXPECT_TRUE(nlohmann::json::parse(line, nullptr, false).is_object());
  }
  EXPECT_EQ(count, 3);
  EXPECT_EQ(Table(std::vector<Column>{{"a", "a"}}).Render(Format::kJson, 0), "[]\n");
}

TEST(TableTest, MarkdownEscapesPipes) {
  EXPECT_EQ(Sample().Render(Format::kMarkdown, 0),
            "| name | size | nmse |\n"
            "| --- | ---: | ---: |\n"
            "| 日本 run | 93.1 MB | 1.25e-07 |\n"
            "| b\\|\"c,\\n | - | 0.333 |\n");
}

TEST(TableTest, FormatsAreNamedExactly) {
  EXPECT_EQ(*ParseFormat("md"), Format::kMarkdown);
  EXPECT_EQ(*ParseFormat("parity-csv"), Format::kParityCsv);
  EXPECT_FALSE(ParseFormat("JSON").ok());
  EXPECT_FALSE(ParseFormat("").ok());
}

}  // namespace
}  // namespace parity::cli
