#include "collector/store/row_scan.h"

#include <sqlite3.h>

#include <string>

#include "absl/cleanup/cleanup.h"
#include "absl/memory/memory.h"
#include "absl/strings/str_cat.h"
#include "proto/status/status_macros.h"

namespace parity::store {
namespace {

constexpr char kFunction[] = "parity_each_row";

}  // namespace

int64_t ScannedRow::Int(int column) const { return sqlite3_value_int64(values_[column]); }

double ScannedRow::Double(int column) const { return sqlite3_value_double(values_[column]); }

absl::string_view ScannedRow::Text(int column) const {
  const void* data = sqlite3_value_blob(values_[column]);
  if (data == nullptr) return {};
  return {static_cast<const char*>(data),
          static_cast<size_t>(sqlite3_value_bytes(values_[column]))};
}

void RowScan::Take(sqlite3_context* context, int, sqlite3_value** values) {
  RowScan* scan = static_cast<Database*>(sqlite3_user_data(context))->running_scan_;
  if (scan == nullptr) return sqlite3_result_error(context, "no scan is running", -1);
  if (!scan->status_.ok()) return;
  scan->status_ = (*scan->on_row_)(ScannedRow(values));
  if (!scan->status_.ok()) sqlite3_result_error(context, "the scan was ended", -1);
}

void RowScan::End(sqlite3_context* context) { sqlite3_result_null(context); }

// An aggregate function sees each row inside SQLite's own loop: no step, and no check of the
// statement for each column.
absl::StatusOr<std::unique_ptr<RowScan>> RowScan::Prepare(Database& database,
                                                          absl::string_view columns,
                                                          absl::string_view from) {
  const int code =
      sqlite3_create_function(database.handle(), kFunction, -1, SQLITE_UTF8 | SQLITE_DIRECTONLY,
                              &database, nullptr, &RowScan::Take, &RowScan::End);
  if (code != SQLITE_OK) return database.Error(code);
  const std::string sql = absl::StrCat("SELECT ", kFunction, "(", columns, ") FROM ", from);
  ASSIGN_OR_RETURN(Statement statement, database.Prepare(sql.c_str()));
  return absl::WrapUnique(new RowScan(database, std::move(statement)));
}

absl::Status RowScan::Run(absl::Span<const int64_t> parameters, OnRow on_row) {
  on_row_ = &on_row;
  status_ = absl::OkStatus();
  database_.running_scan_ = this;
  const absl::Cleanup done = [this] { database_.running_scan_ = nullptr; };
  for (size_t i = 0; i < parameters.size(); ++i) {
    statement_.Bind(static_cast<int>(i + 1), parameters[i]);
  }
  const absl::Status ran = statement_.Run();
  return status_.ok() ? ran : status_;
}

}  // namespace parity::store
