#include "collector/store/row_scan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace parity::store {
namespace {

std::unique_ptr<Database> Numbers() {
  auto database = Database::Open(":memory:", Database::Mode::kReadWrite);
  EXPECT_TRUE(database.ok()) << database.status();
  EXPECT_TRUE(
      (*database)
          ->Execute("CREATE TABLE numbers(id INTEGER PRIMARY KEY, half REAL, name TEXT);"
                    "INSERT INTO numbers VALUES(1, 0.5, 'one'), (2, 1, ''), (3, NULL, NULL)")
          .ok());
  return *std::move(database);
}

std::unique_ptr<RowScan> Prepare(Database& database, const char* columns, const char* from) {
  auto scan = RowScan::Prepare(database, columns, from);
  EXPECT_TRUE(scan.ok()) << scan.status();
  return *std::move(scan);
}

TEST(RowScanTest, HandsOutEveryRowWithItsColumnsAsOftenAsItIsRun) {
  const auto database = Numbers();
  const auto scan = Prepare(*database, "id, half, name", "numbers WHERE id BETWEEN ?1 AND ?2");
  const auto other = Prepare(*database, "name", "numbers");
  std::vector<std::string> seen;
  const auto take = [&](const ScannedRow& row) {
    seen.push_back(std::to_string(row.Int(0)) + " " + std::to_string(row.Double(1)) + " \"" +
                   std::string(row.Text(2)) + "\"");
    return absl::OkStatus();
  };
  EXPECT_EQ(scan->Run({2, 9}, take), absl::OkStatus());
  EXPECT_EQ(seen, (std::vector<std::string>{"2 1.000000 \"\"", "3 0.000000 \"\""}));
  std::string names;
  EXPECT_EQ(other->Run({},
                       [&](const ScannedRow& row) {
                         names += std::string(row.Text(0)) + ",";
                         return absl::OkStatus();
                       }),
            absl::OkStatus());
  EXPECT_EQ(names, "one,,,");
  seen.clear();
  EXPECT_EQ(scan->Run({0, 1}, take), absl::OkStatus());
  EXPECT_EQ(seen, (std::vector<std::string>{"1 0.500000 \"one\""}));
}

TEST(RowScanTest, AnErrorOfTheCallerEndsTheScanAndComesBack) {
  const auto database = Numbers();
  const auto scan = Prepare(*database, "id", "numbers");
  int rows = 0;
  const auto run = [&] {
    return scan->Run({}, [&](const ScannedRow&) {
      return ++rows == 2 ? absl::DataLossError("the second is bad") : absl::OkStatus();
    });
  };
  EXPECT_EQ(run(), absl::DataLossError("the second is bad"));
  EXPECT_EQ(rows, 2);
  EXPECT_TRUE(run().ok()) << "the connection is of use afterwards";
  EXPECT_EQ(rows, 5);
}

TEST(RowScanTest, AnErrorOfTheDatabaseNamesIt) {
  const auto database = Numbers();
  EXPECT_THAT(std::string(RowScan::Prepare(*database, "id", "letters").status().message()),
              testing::HasSubstr("no such table"));
}

TEST(RowScanTest, OnlyAScanMayCallTheFunction) {
  const auto database = Numbers();
  const auto scan = Prepare(*database, "id", "numbers");
  EXPECT_THAT(std::string(database->Execute("SELECT parity_each_row(1)").message()),
              testing::HasSubstr("no scan is running"));
}

}  // namespace
}  // namespace parity::store
