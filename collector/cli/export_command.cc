#include "collector/cli/export_command.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "collector/cli/compare_request.h"
#include "collector/cli/export_stream.h"
#include "collector/cli/unfinished_files.h"
#include "proto/serve/command_line.h"
#include "proto/status/status_macros.h"

namespace parity::cli {
namespace {

constexpr int kMostLinks = 40;  // as Linux follows

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

// Errors of the output name it; the collector's are handed on.
absl::Status WriteExport(const v1::ExportRequest& request, const std::string& path,
                         Connection& collector, const Console& console) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  if (!file) return absl::DataLossError(absl::StrCat(path, ": ", std::strerror(errno)));
  absl::Status status;
  {
    Progress progress(console, "exporting");
    status = StreamExport(request, collector, file, [&](int64_t bytes) { progress.Add(bytes); });
  }
  file.close();
  if (!file) return absl::DataLossError(absl::StrCat(path, ": the output cannot be written"));
  return status;
}

// A file is written beside `path` and renamed: a reader never sees half an export. A pipe or a
// device is written as it is, since renaming would put a file in its place; a link keeps pointing
// where it does, for the same reason.
absl::Status ExportToFile(const v1::ExportRequest& request, const std::string& path,
                          Connection& collector, const Console& console) {
  std::error_code error;
  const std::filesystem::file_status found = std::filesystem::status(path, error);
  if (std::filesystem::is_directory(found)) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": is a directory, expected a file"));
  }
  if (std::filesystem::exists(found) && !std::filesystem::is_regular_file(found)) {
    return WriteExport(request, path, collector, console);
  }
  // As collector/store/store_lock.cc does: no room below both knows of files.
  std::filesystem::path target = path;
  for (int links = 0; links < kMostLinks && std::filesystem::is_symlink(target, error); ++links) {
    target = target.parent_path() / std::filesystem::read_symlink(target, error);
  }
  const std::string partial = absl::StrCat(target.string(), ".partial");
  const UnfinishedFiles unfinished({partial});
  absl::Status status = WriteExport(request, partial, collector, console);
  if (status.ok() && std::rename(partial.c_str(), target.c_str()) != 0) {
    status = absl::DataLossError(absl::StrCat(target.string(), ": ", std::strerror(errno)));
  }
  if (!status.ok()) unlink(partial.c_str());  // which, unlike remove(), leaves a folder alone
  return status;
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
  auto* team =
      command->add_option("--team", options->team, "Export this team's capture")->type_name("TEAM");
  AddCompareFlags(*command, &options->compare, /*required=*/false);
  command
      ->add_option("--values", options->values, "Most values a line of a capture's jsonl; 0: all")
      ->type_name("N")
      ->needs(team)
      ->check(serve::AtLeastZero());
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
