#include "collector/cli/diff_command.h"

#include <CLI/CLI.hpp>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "collector/cli/compare_request.h"
#include "collector/cli/export_stream.h"
#include "collector/cli/proto_json.h"
#include "collector/cli/table.h"
#include "collector/cli/verdict_text.h"
#include "proto/status/status_macros.h"

namespace parity::cli {
namespace {

struct DiffOptions {
  ConnectionOptions connection;
  CompareFlags compare;
  std::string format;
  bool no_save = false;
  bool rows = false;
  bool fail_on_drift = false;
};

struct Comparison {
  v1::ComparisonSummary summary;
  RowTally tally;
  Table rows = RowTable();
  std::vector<std::string> json_rows;
};

absl::StatusOr<Comparison> Compare(const v1::CompareRequest& request, const DiffOptions& options,
                                   Connection& collector) {
  Comparison comparison;
  const bool json = options.format == "json";
  const auto on_row = [&](const v1::ComparisonRow& row) {
    comparison.tally.Count(row);
    if (!options.rows) return;
    if (json) comparison.json_rows.push_back(ToJson(row));
    if (!json) AddRow(row, &comparison.rows);
  };
  RETURN_IF_ERROR(collector.Compare(request, on_row, &comparison.summary));
  return comparison;
}

void PrintJson(const Comparison& comparison, bool rows, const Console& console) {
  console.out << "{\"summary\":" << ToJson(comparison.summary);
  if (rows) {
    console.out << ",\"rows\":[";
    for (size_t i = 0; i < comparison.json_rows.size(); ++i) {
      console.out << (i ? ",\n" : "\n") << comparison.json_rows[i];
    }
    console.out << "\n]";
  }
  console.out << "}\n";
}

void PrintTables(const v1::CompareRequest& request, const Comparison& comparison,
                 const DiffOptions& options, Format format, const Console& console) {
  console.out << SummaryText(request, comparison.summary, comparison.tally, console,
                             format == Format::kMarkdown);
  const Table stages = StageTable(comparison.summary);
  if (stages.rows() > 0) console.out << "\n" << stages.Render(format, console.width);
  const std::string logits = LogitsText(comparison.summary);
  if (!logits.empty()) console.out << "\n" << logits;
  if (options.rows) console.out << "\n" << comparison.rows.Render(format, console.width);
}

v1::ExportRequest::Format ExportFormat(Format format) {
  if (format == Format::kJsonl) return v1::ExportRequest::FORMAT_DIFF_JSONL;
  if (format == Format::kCsv) return v1::ExportRequest::FORMAT_DIFF_CSV;
  return v1::ExportRequest::FORMAT_PARITY_CSV;
}

absl::StatusOr<ExitCode> Diff(const DiffOptions& options, Connection& collector,
                              const Console& console) {
  ASSIGN_OR_RETURN(const Format format, ParseFormat(options.format));
  ASSIGN_OR_RETURN(v1::CompareRequest request, MakeCompareRequest(options.compare));
  request.set_store(!options.no_save);
  ASSIGN_OR_RETURN(const Comparison comparison, Compare(request, options, collector));
  if (format == Format::kJson) {
    PrintJson(comparison, options.rows, console);
  } else if (format == Format::kTable || format == Format::kMarkdown) {
    PrintTables(request, comparison, options, format, console);
  } else {
    v1::ExportRequest text;
    text.set_format(ExportFormat(format));
    *text.mutable_compare() = request;
    text.mutable_compare()->set_store(false);
    RETURN_IF_ERROR(StreamExport(text, collector, console.out));
    console.Message(Headline(comparison.summary));
  }
  const ExitCode code = ExitCodeFor(comparison.summary, options.fail_on_drift);
  const bool passed = comparison.summary.verdict() == v1::VERDICT_PARITY ||
                      comparison.summary.verdict() == v1::VERDICT_DRIFT;
  if (passed && code == ExitCode::kIncomplete) {
    console.Message("a capture is incomplete, so this is no pass");
  }
  return code;
}

// Saving needs to write to the database; looking does not.
absl::Status WithHint(const absl::Status& status, const DiffOptions& options) {
  const bool local = !options.connection.db.empty();
  const bool refused = (local && absl::IsUnavailable(status)) || absl::IsPermissionDenied(status) ||
                       absl::IsResourceExhausted(status);
  if (!refused || options.no_save) return status;
  return absl::Status(status.code(), absl::StrCat(status.message(), "; --no-save only reads"));
}

absl::StatusOr<ExitCode> OpenAndDiff(const DiffOptions& options, const Console& console) {
  const Access access = options.no_save ? Access::kRead : Access::kUpdate;
  auto collector = Connection::Open(options.connection, access);
  if (!collector.ok()) return WithHint(collector.status(), options);
  absl::StatusOr<ExitCode> code = Diff(options, **collector, console);
  if (!code.ok()) return WithHint(code.status(), options);
  return code;
}

}  // namespace

void AddDiffCommand(CLI::App& app, Invocation& invocation) {
  auto options = std::make_shared<DiffOptions>();
  CLI::App* command =
      app.add_subcommand("diff", "Compare a candidate with a reference: where they part, how far");
  command->add_option("RUN", options->compare.run, "Run of the reference")->required();
  AddCompareFlags(*command, &options->compare, /*required=*/true);
  command->add_flag("--rows", options->rows, "Print every row, not only the worst of each stage");
  command->add_flag("--no-save", options->no_save, "Do not keep the comparison in the database");
  command->add_flag("--fail-on-drift", options->fail_on_drift, "Exit 1 on DRIFT too");
  AddFormatFlag(*command, {"table", "json", "jsonl", "csv", "md", "parity-csv"}, &options->format);
  AddConnectionFlags(*command, &options->connection);
  AddReserveFlag(*command, &options->connection);
  command->footer(
      "Exit code: 0 PARITY or DRIFT, 1 DIVERGED, 3 not comparable or an incomplete capture.\n"
      "jsonl, csv and parity-csv give every row; the verdict then goes to standard error.\n"
      "\n"
      "Examples:\n"
      "  parity diff prompt-1 --reference llama.cpp --candidate worker-cpu --db parity.db\n"
      "  parity diff prompt-1 --reference llama.cpp --candidate worker-cpu --rows \\\n"
      "      --checkpoint 'layer.*.attn.*' --positions 0-7 --db parity.db\n"
      "  parity diff old --candidate-run new --reference worker-cpu --candidate worker-cpu \\\n"
      "      --format csv --collector 127.0.0.1:50052 > diff.csv");
  command->callback([&invocation, options] {
    invocation.run = [options](const Console& console) { return OpenAndDiff(*options, console); };
  });
}

}  // namespace parity::cli
