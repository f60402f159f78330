#include "collector/cli/runs_command.h"

#include <CLI/CLI.hpp>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "collector/cli/capture_table.h"
#include "collector/cli/table.h"
#include "proto/status/status_macros.h"

namespace parity::cli {
namespace {

struct RunsOptions {
  ConnectionOptions connection;
  std::string glob;
  std::string format;
  int limit = 100;
};

absl::StatusOr<ExitCode> Runs(const RunsOptions& options, Connection& collector,
                              const Console& console) {
  v1::ListRunsRequest request;
  request.set_limit(options.limit);
  request.set_name_glob(options.glob);
  v1::ListRunsResponse response;
  const auto context = collector.NewContext();
  RETURN_IF_ERROR(collector.Result(collector.stub().ListRuns(context.get(), request, &response)));
  ASSIGN_OR_RETURN(const Format format, ParseFormat(options.format));
  console.out << CaptureTable(response.runs()).Render(format, console.width);
  if (response.runs_size() == 0) console.Message("no run matches");
  return ExitCode::kParity;
}

}  // namespace

void AddRunsCommand(CLI::App& app, Invocation& invocation) {
  auto options = std::make_shared<RunsOptions>();
  CLI::App* command = app.add_subcommand("runs", "List runs, newest first, with their captures");
  command->add_option("GLOB", options->glob, "Only runs whose name matches (* ? [..])");
  command->add_option("--limit", options->limit, "Most runs to list (default 100)")
      ->type_name("N")
      ->check(CLI::Range(1, 1'000'000).description(""));
  AddFormatFlag(*command, {"table", "json", "jsonl", "csv", "md"}, &options->format);
  AddConnectionFlags(*command, &options->connection);
  command->footer(
      "Examples:\n"
      "  parity runs --db parity.db\n"
      "  parity runs 'nightly-*' --limit 5 --collector 127.0.0.1:50052\n"
      "  parity runs --db parity.db --format csv");
  command->callback(OnCollector(invocation, options, Access::kRead, &Runs));
}

}  // namespace parity::cli
