// Runs over the rows of a query in half the time that a step and a call a column take.
#ifndef PARITY_COLLECTOR_STORE_ROW_SCAN_H_
#define PARITY_COLLECTOR_STORE_ROW_SCAN_H_

#include <cstdint>
#include <memory>
#include <utility>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "collector/store/database.h"

struct sqlite3_context;
struct sqlite3_value;

namespace parity::store {

// One row's columns, counted from 0; valid during the call that got it.
class ScannedRow {
 public:
  explicit ScannedRow(sqlite3_value** values) : values_(values) {}
  int64_t Int(int column) const;
  double Double(int column) const;  // NULL reads as 0
  absl::string_view Text(int column) const;

 private:
  sqlite3_value** values_;
};

// A query prepared once and run often. Must not outlive its Database.
class RowScan {
 public:
  using OnRow = absl::FunctionRef<absl::Status(const ScannedRow&)>;

  // SELECT `columns` FROM `from`, which may hold a WHERE with the parameters ?1, ?2 ... and no
  // more.
  static absl::StatusOr<std::unique_ptr<RowScan>> Prepare(Database& database,
                                                          absl::string_view columns,
                                                          absl::string_view from);

  // Calls `on_row` with every row, in no promised order. A status that is not OK ends the scan and
  // is returned. `on_row` must not use the database.
  absl::Status Run(absl::Span<const int64_t> parameters, OnRow on_row);

 private:
  RowScan(Database& database, Statement statement)
      : database_(database), statement_(std::move(statement)) {}
  // What SQLite calls with each row.
  static void Take(sqlite3_context* context, int, sqlite3_value** values);
  static void End(sqlite3_context* context);

  Database& database_;
  Statement statement_;
  OnRow* on_row_ = nullptr;  // while it runs
  absl::Status status_;
};

}  // namespace parity::store

#endif  // PARITY_COLLECTOR_STORE_ROW_SCAN_H_
