#include "collector/cli/table.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "collector/cli/text.h"
#include "glog/logging.h"

namespace parity::cli {
namespace {

constexpr int kGap = 2;              // columns between two cells
constexpr int kNarrowestShrunk = 8;  // a shrunk column still shows something

std::string ShortestDouble(double value) {
  char buffer[32];
  const auto end = std::to_chars(buffer, buffer + sizeof(buffer), value).ptr;
  return std::string(buffer, end);
}

nlohmann::ordered_json JsonValue(const Cell& cell) {
  if (const auto* s = std::get_if<std::string>(&cell.value)) return *s;
  if (const auto* n = std::get_if<int64_t>(&cell.value)) return *n;
  if (const auto* b = std::get_if<bool>(&cell.value)) return *b;
  const auto* x = std::get_if<double>(&cell.value);
  if (x == nullptr || !std::isfinite(*x)) return nullptr;  // JSON has no NaN or Infinity
  return *x;
}

std::string CsvValue(const Cell& cell) {
  if (const auto* n = std::get_if<int64_t>(&cell.value)) return absl::StrCat(*n);
  if (const auto* b = std::get_if<bool>(&cell.value)) return *b ? "true" : "false";
  if (const auto* x = std::get_if<double>(&cell.value)) return ShortestDouble(*x);
  const auto* s = std::get_if<std::string>(&cell.value);
  if (s == nullptr) return "";
  if (s->find_first_of(",\"\r\n") == std::string::npos) return *s;
  return absl::StrCat("\"", absl::StrReplaceAll(*s, {{"\"", "\"\""}}), "\"");
}

void AppendLine(std::string line, std::string* out) {
  const size_t end = line.find_last_not_of(' ');
  line.resize(end == std::string::npos ? 0 : end + 1);
  absl::StrAppend(out, line, "\n");
}

std::string Pad(absl::string_view text, int width, bool right) {
  const std::string spaces(std::max(0, width - DisplayWidth(text)), ' ');
  return right ? absl::StrCat(spaces, text) : absl::StrCat(text, spaces);
}

}  // namespace

absl::StatusOr<Format> ParseFormat(absl::string_view text) {
  if (text == "table") return Format::kTable;
  if (text == "md") return Format::kMarkdown;
  if (text == "csv") return Format::kCsv;
  if (text == "json") return Format::kJson;
  if (text == "jsonl") return Format::kJsonl;
  if (text == "parity-csv") return Format::kParityCsv;
  return absl::InvalidArgumentError(absl::StrCat("unknown format '", text, "'"));
}

Cell Cell::Missing() { return Cell{std::monostate(), "-"}; }
Cell Cell::Text(absl::string_view s) { return Cell{std::string(s), Printable(s)}; }
Cell Cell::Int(int64_t n) { return Cell{n, absl::StrCat(n)}; }
Cell Cell::Bytes(int64_t n) { return Cell{n, HumanBytes(n)}; }
Cell Cell::Number(double x) { return Cell{x, ShortNumber(x)}; }
Cell Cell::Bool(bool b) { return Cell{b, b ? "yes" : "no"}; }

void Table::AddRow(std::vector<Cell> cells) {
  CHECK_EQ(cells.size(), columns_.size());
  rows_.push_back(std::move(cells));
}

std::string Table::Render(Format format, int width) const {
  switch (format) {
    case Format::kMarkdown:
      return RenderMarkdown();
    case Format::kCsv:
      return RenderCsv();
    case Format::kJson:
      return RenderJson(/*lines=*/false);
    case Format::kJsonl:
      return RenderJson(/*lines=*/true);
    default:
      return RenderTable(width);
  }
}

Table::Layout Table::FitColumns(int width) const {
  Layout layout;
  std::vector<int>& widths = layout.widths;
  int total = -kGap;
  for (size_t c = 0; c < columns_.size(); ++c) {
    int widest = DisplayWidth(columns_[c].title);
    for (const auto& row : rows_) widest = std::max(widest, DisplayWidth(row[c].text));
    layout.columns.push_back(c);
    widths.push_back(widest);
    total += widest + kGap;
  }
  const auto drop_rank = [this](size_t a, size_t b) { return columns_[a].drop < columns_[b].drop; };
  while (width > 0 && total > width && layout.columns.size() > 1) {
    const auto next = std::max_element(layout.columns.begin(), layout.columns.end(), drop_rank);
    if (columns_[*next].drop == 0) break;
    total -= widths[*next] + kGap;
    layout.columns.erase(next);
  }
  while (width > 0 && total > width) {
    int* widest = nullptr;
    for (const size_t c : layout.columns) {
      if (!columns_[c].shrink || widths[c] <= kNarrowestShrunk) continue;
      if (widest == nullptr || widths[c] > *widest) widest = &widths[c];
    }
    if (widest == nullptr) break;  // nothing left to shrink: the terminal wraps
    --*widest;
    --total;
  }
  return layout;
}

void Table::AppendRow(const Layout& layout, const std::vector<std::string>& texts,
                      std::string* out) const {
  std::string line;
  for (const size_t c : layout.columns) {
    const int width = layout.widths[c];
    absl::StrAppend(&line, c == layout.columns.front() ? "" : std::string(kGap, ' '),
                    Pad(Truncate(texts[c], width), width, columns_[c].number));
  }
  AppendLine(std::move(line), out);
}

std::string Table::RenderTable(int width) const {
  const Layout layout = FitColumns(width);
  std::string out;
  std::vector<std::string> texts(columns_.size());
  for (size_t c = 0; c < texts.size(); ++c) texts[c] = columns_[c].title;
  AppendRow(layout, texts, &out);
  for (const auto& row : rows_) {
    for (size_t c = 0; c < texts.size(); ++c) texts[c] = row[c].text;
    AppendRow(layout, texts, &out);
  }
  std::vector<absl::string_view> left_out;
  for (size_t c = 0; c < columns_.size(); ++c) {
    const bool stays = std::binary_search(layout.columns.begin(), layout.columns.end(), c);
    if (!stays) left_out.push_back(columns_[c].title);
  }
  if (!left_out.empty()) {
    absl::StrAppend(&out, "left out: ", absl::StrJoin(left_out, ", "), "\n");
  }
  return out;
}

std::string Table::RenderMarkdown() const {
  std::string out = "|", rule = "|";
  for (const Column& column : columns_) {
    absl::StrAppend(&out, " ", column.title, " |");
    absl::StrAppend(&rule, column.number ? " ---: |" : " --- |");
  }
  absl::StrAppend(&out, "\n", rule, "\n");
  for (const auto& row : rows_) {
    out += "|";
    for (const Cell& cell : row) {
      absl::StrAppend(&out, " ", absl::StrReplaceAll(cell.text, {{"|", "\\|"}}), " |");
    }
    out += "\n";
  }
  return out;
}

std::string Table::RenderCsv() const {
  std::string out;
  for (size_t c = 0; c < columns_.size(); ++c) {
    absl::StrAppend(&out, c ? "," : "", columns_[c].key);
  }
  out += "\n";
  for (const auto& row : rows_) {
    for (size_t c = 0; c < row.size(); ++c) absl::StrAppend(&out, c ? "," : "", CsvValue(row[c]));
    out += "\n";
  }
  return out;
}

std::string Table::RenderJson(bool lines) const {
  constexpr auto kReplace = nlohmann::ordered_json::error_handler_t::replace;
  std::string out = lines ? "" : "[";
  for (size_t r = 0; r < rows_.size(); ++r) {
    nlohmann::ordered_json object = nlohmann::ordered_json::object();
    for (size_t c = 0; c < columns_.size(); ++c) object[columns_[c].key] = JsonValue(rows_[r][c]);
    if (!lines) out += r ? ",\n " : "\n ";
    out += object.dump(-1, ' ', false, kReplace);
    if (lines) out += "\n";
  }
  if (!lines) out += rows_.empty() ? "]\n" : "\n]\n";
  return out;
}

}  // namespace parity::cli
