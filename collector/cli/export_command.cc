#include "collector/cli/export_command.h"

#include <CLI/CLI.hpp>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "collector/cli/compare_request.h"
#include "collector/cli/export_stream.h"
#include "proto/status/grpc_status.h"
#include "proto/status/status_macros.h"

namespace parity::cli {
namespace {

struct ExportOptions {
  ConnectionOptions connection;
  CompareFlags compare;
  std::string team, format, output;
  int64_t values = 0;
};

absl::StatusOr<v1::ExportRequest> MakeRequest(const ExportOptions& options) {
  const bool capture = !options.team.empty();
  if (capture == !options.compare.reference.empty()) {
    return absl::InvalidArgumentError(
        "give either --team TEAM (a capture) or --reference A --candidate B (a comparison)");
  }
  if (capture && options.format == "parity-csv") {
    return absl::InvalidArgumentError(
        "--format parity-csv is a report on a comparison: give "
        "--reference A --candidate B");
  }
  v1::ExportRequest request;
  ASSIGN_OR_RETURN(*request.mutable_compare(), MakeCompareRequest(options.compare));
  if (capture) request.mutable_compare()->set_reference(options.team);
  request.set_max_values(options.values);
  if (options.format == "parity-csv") {
    request.set_format(v1::ExportRequest::FORMAT_PARITY_CSV);
  } else if (options.format == "csv") {
    request.set_format(capture ? v1::ExportRequest::FORMAT_CAPTURE_CSV
                               : v1::ExportRequest::FORMAT_DIFF_CSV);
  } else {
    request.set_format(capture ? v1::ExportRequest::FORMAT_CAPTURE_JSONL
                               : v1::ExportRequest::FORMAT_DIFF_JSONL);
  }
  return request;
}

// Writes beside `path` and renames: a reader never sees half an export.
absl::Status ExportToFile(const v1::ExportRequest& request, const std::string& path,
                          Connection& collector, const Console& console) {
  const std::string partial = absl::StrCat(path, ".partial");
  std::ofstream file(partial, std::ios::binary | std::ios::trunc);
  if (!file) return absl::DataLossError(absl::StrCat(partial, ": ", std::strerror(errno)));
  absl::Status status;
  {
    Progress progress(console, "exporting");
    status = StreamExport(request, collector, file, [&](int64_t bytes) { progress.Add(bytes); });
  }
  file.close();
  if (status.ok() && !file) status = absl::DataLossError("the output cannot be written");
  if (status.ok() && std::rename(partial.c_str(), path.c_str()) != 0) {
    status = absl::DataLossError(std::strerror(errno));
  }
  if (status.ok()) return status;
  std::remove(partial.c_str());
  return Annotate(status, path);
}

absl::StatusOr<ExitCode> Export(const ExportOptions& options, Connection& collector,
                                const Console& console) {
  ASSIGN_OR_RETURN(const v1::ExportRequest request, MakeRequest(options));
  if (options.output.empty() || options.output == "-") {
    RETURN_IF_ERROR(StreamExport(request, collector, console.out));
  } else {
    RETURN_IF_ERROR(ExportToFile(request, options.output, collector, console));
  }
  return ExitCode::kParity;
}

}  // namespace

void AddExportCommand(CLI::App& app, Invocation& invocation) {
  auto options = std::make_shared<ExportOptions>();
  CLI::App* command = app.add_subcommand("export", "Write a capture or a comparison as text");
  command->add_option("RUN", options->compare.run, "Run of the capture, or of the reference")
      ->required();
  command->add_option("--team", options->team, "Export this team's capture")->type_name("TEAM");
  AddCompareFlags(*command, &options->compare, /*required=*/false);
  command
      ->add_option("--values", options->values, "Most values a line of a capture's jsonl; 0: all")
      ->type_name("N")
      ->check(CLI::NonNegativeNumber);
  AddFormatFlag(*command, {"jsonl", "csv", "parity-csv"}, &options->format);
  command->add_option("-o,--output", options->output, "File to write; - is standard output")
      ->type_name("FILE");
  AddConnectionFlags(*command, &options->connection);
  command->footer(
      "A capture's jsonl is the log that `parity import` reads; its csv is one line of statistics\n"
      "a tensor. A comparison's jsonl and csv have one line a row.\n"
      "\n"
      "Examples:\n"
      "  parity export prompt-1 --team worker-cpu --db parity.db -o worker-cpu.jsonl\n"
      "  parity export prompt-1 --reference llama.cpp --candidate worker-cpu --format csv \\\n"
      "      --db parity.db -o diff.csv");
  command->callback(OnCollector(invocation, options, Access::kRead, &Export));
}

}  // namespace parity::cli
