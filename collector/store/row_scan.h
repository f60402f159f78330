// Runs over the rows of a query in half the time that a step and a call a column take.
#ifndef PARITY_COLLECTOR_STORE_ROW_SCAN_H_
#define PARITY_COLLECTOR_STORE_ROW_SCAN_H_

#include <cstdint>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "collector/store/database.h"

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

// Calls `on_row` with every row of SELECT `columns` FROM `from`, in no promised order; `from` may
// hold a WHERE with the parameters ?1, ?2 ... and no more. A status that is not OK ends the scan
// and is returned. `on_row` must not use `database`.
absl::Status ScanRows(Database& database, absl::string_view columns, absl::string_view from,
                      absl::Span<const int64_t> parameters,
                      absl::FunctionRef<absl::Status(const ScannedRow&)> on_row);

}  // namespace parity::store

#endif  // PARITY_COLLECTOR_STORE_ROW_SCAN_H_
