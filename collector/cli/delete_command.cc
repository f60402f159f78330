#include "collector/cli/delete_command.h"

#include <CLI/CLI.hpp>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "collector/cli/proto_json.h"
#include "proto/status/status_macros.h"

namespace parity::cli {
namespace {

struct DeleteOptions {
  ConnectionOptions connection;
  std::string run, team, format;
  bool yes = false;
};

absl::StatusOr<ExitCode> Delete(const DeleteOptions& options, Connection& collector,
                                const Console& console) {
  const std::string what = options.team.empty()
                               ? absl::StrCat("run '", options.run, "'")
                               : absl::StrCat("run '", options.run, "' team '", options.team, "'");
  if (!options.yes) {
    return absl::InvalidArgumentError(
        absl::StrCat("nothing was deleted: add --yes to delete ", what, " for good"));
  }
  v1::DeleteRunRequest request;
  request.set_run(options.run);
  request.set_team(options.team);
  v1::DeleteRunResponse response;
  const auto context = collector.NewContext();
  RETURN_IF_ERROR(collector.Result(collector.stub().DeleteRun(context.get(), request, &response)));
  if (options.format == "json") {
    console.out << ToJson(response) << "\n";
  } else {
    console.out << "deleted " << what << ": " << response.captures()
                << (response.captures() == 1 ? " capture, " : " captures, ") << response.tensors()
                << " tensors\n";
  }
  return ExitCode::kParity;
}

}  // namespace

void AddDeleteCommand(CLI::App& app, Invocation& invocation) {
  auto options = std::make_shared<DeleteOptions>();
  CLI::App* command =
      app.add_subcommand("delete", "Delete a run, or one team's capture, with what hangs on it");
  command->add_option("RUN", options->run, "Name of the run")->required();
  command->add_option("--team", options->team, "Only this team's capture")->type_name("TEAM");
  command->add_flag("--yes", options->yes, "Really delete; there is no way back");
  AddFormatFlag(*command, {"table", "json"}, &options->format);
  AddConnectionFlags(*command, &options->connection);
  command->footer(
      "Examples:\n"
      "  parity delete prompt-1 --yes --db parity.db\n"
      "  parity delete prompt-1 --team worker-cpu --yes --collector 127.0.0.1:50052");
  command->callback(OnCollector(invocation, options, Access::kUpdate, &Delete));
}

}  // namespace parity::cli
