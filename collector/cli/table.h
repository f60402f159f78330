// Tables: rows of typed cells, printed for a terminal, as Markdown, CSV, JSON or JSON lines.
#ifndef PARITY_COLLECTOR_CLI_TABLE_H_
#define PARITY_COLLECTOR_CLI_TABLE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace parity::cli {

enum class Format { kTable, kMarkdown, kCsv, kJson, kJsonl, kParityCsv };

// Reads "table", "json", "jsonl", "csv", "md" or "parity-csv"; INVALID_ARGUMENT otherwise.
absl::StatusOr<Format> ParseFormat(absl::string_view text);

// One cell: what machines read, and what people read.
struct Cell {
  std::variant<std::monostate, std::string, int64_t, double, bool> value;
  std::string text;

  static Cell Missing();                  // null, empty in CSV, "-" for people
  static Cell Text(absl::string_view s);  // escaped for people, raw for machines
  static Cell Int(int64_t n);
  static Cell Bytes(int64_t n);  // exact for machines, "93.1 MB" for people
  static Cell Number(double x);  // exact for machines, three digits for people
  static Cell Bool(bool b);      // "yes" / "no" for people
};

struct Column {
  std::string key;      // JSON key and CSV header: snake_case
  std::string title;    // table header
  bool number = false;  // right-aligned
  bool shrink = false;  // may be cut short with "…" when the table is wider than the terminal
  int drop = 0;  // left out, highest first, before anything is cut short on a terminal; 0: never
};

// Not thread-safe.
class Table {
 public:
  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}

  // REQUIRES: one cell per column.
  void AddRow(std::vector<Cell> cells);
  size_t rows() const { return rows_.size(); }

  // Every line ends with "\n"; no trailing spaces. `width`: columns of the terminal, 0 = not
  // limited (tables only); a last line names the columns that were left out. kJson is an array of
  // objects. REQUIRES: format != kParityCsv.
  std::string Render(Format format, int width) const;

 private:
  // Columns that stay, and how wide each is.
  struct Layout {
    std::vector<size_t> columns;
    std::vector<int> widths;  // by column, all of them
  };
  Layout FitColumns(int width) const;
  void AppendRow(const Layout& layout, const std::vector<std::string>& texts,
                 std::string* out) const;
  std::string RenderTable(int width) const;
  std::string RenderMarkdown() const;
  std::string RenderCsv() const;
  std::string RenderJson(bool lines) const;

  std::vector<Column> columns_;
  std::vector<std::vector<Cell>> rows_;
};

}  // namespace parity::cli

#endif  // PARITY_COLLECTOR_CLI_TABLE_H_
