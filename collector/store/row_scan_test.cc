#include "collector/store/row_scan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
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

TEST(RowScanTest, HandsOutEveryRowWithItsColumns) {
  const auto database = Numbers();
  std::vector<std::string> seen;
  const auto status =
      ScanRows(*database, "id, half, name", "numbers WHERE id BETWEEN ?1 AND ?2", {2, 9},
               [&](const ScannedRow& row) {
                 seen.push_back(std::to_string(row.Int(0)) + " " + std::to_string(row.Double(1)) +
                                " \"" + std::string(row.Text(2)) + "\"");
                 return absl::OkStatus();
               });
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ(seen, (std::vector<std::string>{"2 1.000000 \"\"", "3 0.000000 \"\""}));
}

TEST(RowScanTest, AnErrorOfTheCallerEndsTheScanAndComesBack) {
  const auto database = Numbers();
  int rows = 0;
  const auto scan = [&] {
    return ScanRows(*database, "id", "numbers", {}, [&](const ScannedRow&) {
      return ++rows == 2 ? absl::DataLossError("the second is bad") : absl::OkStatus();
    });
  };
  EXPECT_EQ(scan(), absl::DataLossError("the second is bad"));
  EXPECT_EQ(rows, 2);
  EXPECT_TRUE(scan().ok()) << "the connection is of use afterwards";
  EXPECT_EQ(rows, 5);
}

TEST(RowScanTest, AnErrorOfTheDatabaseNamesIt) {
  const auto database = Numbers();
  const auto status =
      ScanRows(*database, "id", "letters", {}, [](const ScannedRow&) { return absl::OkStatus(); });
  EXPECT_THAT(std::string(status.message()), testing::HasSubstr("no such table"));
}

}  // namespace
}  // namespace parity::store
