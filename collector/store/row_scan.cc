#include "collector/store/row_scan.h"

#include <sqlite3.h>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "proto/status/status_macros.h"

namespace parity::store {
namespace {

constexpr char kFunction[] = "parity_each_row";

struct Scan {
  absl::FunctionRef<absl::Status(const ScannedRow&)> on_row;
  absl::Status status;
};

void OnRow(sqlite3_context* context, int, sqlite3_value** values) {
  Scan& scan = *static_cast<Scan*>(sqlite3_user_data(context));
  if (!scan.status.ok()) return;
  scan.status = scan.on_row(ScannedRow(values));
  if (!scan.status.ok()) sqlite3_result_error(context, "the scan was ended", -1);
}

void OnEnd(sqlite3_context* context) { sqlite3_result_null(context); }

}  // namespace

int64_t ScannedRow::Int(int column) const { return sqlite3_value_int64(values_[column]); }

double ScannedRow::Double(int column) const { return sqlite3_value_double(values_[column]); }

absl::string_view ScannedRow::Text(int column) const {
  const void* data = sqlite3_value_blob(values_[column]);
  if (data == nullptr) return {};
  return {static_cast<const char*>(data),
          static_cast<size_t>(sqlite3_value_bytes(values_[column]))};
}

// An aggregate function sees each row inside SQLite's own loop: no step, and no check of the
// statement for each column.
absl::Status ScanRows(Database& database, absl::string_view columns, absl::string_view from,
                      absl::Span<const int64_t> parameters,
                      absl::FunctionRef<absl::Status(const ScannedRow&)> on_row) {
  Scan scan = {on_row, absl::OkStatus()};
  const int flags = SQLITE_UTF8 | SQLITE_DIRECTONLY;
  const int code = sqlite3_create_function(database.handle(), kFunction, -1, flags, &scan, nullptr,
                                           &OnRow, &OnEnd);
  if (code != SQLITE_OK) return database.Error(code);
  const absl::Cleanup forget = [&database] {
    sqlite3_create_function(database.handle(), kFunction, -1, SQLITE_UTF8, nullptr, nullptr,
                            nullptr, nullptr);
  };
  const std::string sql = absl::StrCat("SELECT ", kFunction, "(", columns, ") FROM ", from);
  ASSIGN_OR_RETURN(Statement statement, database.Prepare(sql.c_str()));
  for (size_t i = 0; i < parameters.size(); ++i) {
    statement.Bind(static_cast<int>(i + 1), parameters[i]);
  }
  const absl::Status ran = statement.Run();
  return scan.status.ok() ? ran : scan.status;
}

}  // namespace parity::store
