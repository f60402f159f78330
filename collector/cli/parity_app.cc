#include "collector/cli/parity_app.h"

#include <CLI/CLI.hpp>
#include <string>

#include "absl/strings/str_cat.h"
#include "collector/cli/delete_command.h"
#include "collector/cli/diff_command.h"
#include "collector/cli/export_command.h"
#include "collector/cli/flags.h"
#include "collector/cli/generate_command.h"
#include "collector/cli/import_command.h"
#include "collector/cli/runs_command.h"
#include "collector/cli/show_command.h"
#include "proto/serve/command_line.h"
#include "proto/text/utf8.h"

namespace parity::cli {
namespace {

// A message's text fields hold UTF-8 alone; files and addresses may have any name.
absl::Status CheckUtf8(const CLI::App& command) {
  for (const CLI::Option* option : command.get_options()) {
    const std::string type = option->get_type_name(), name = option->get_name();
    if (type == "FILE" || name == "FILE" || type == "ADDR") continue;
    for (const std::string& value : option->results()) {
      if (text::IsUtf8(value)) continue;
      return absl::InvalidArgumentError(absl::StrCat(name, " '", value, "': expected UTF-8"));
    }
  }
  return absl::OkStatus();
}

ExitCode RunChosen(const Invocation& invocation, const Console& console) {
  const absl::StatusOr<ExitCode> code = invocation.run(console);
  console.out.flush();
  if (!code.ok()) {
    console.Message(code.status().message());
    return ExitCodeFor(code.status());
  }
  if (!console.out.good()) {
    console.Message("standard output cannot be written");
    return ExitCode::kStorage;
  }
  return *code;
}

}  // namespace

ExitCode RunParity(int argc, const char* const* argv, const Console& console) {
  CLI::App app("Finds where two inference engines stop agreeing, and by how much.", "parity");
  Invocation invocation;
  AddGenerateCommand(app, invocation);
  AddRunsCommand(app, invocation);
  AddShowCommand(app, invocation);
  AddImportCommand(app, invocation);
  AddDiffCommand(app, invocation);
  AddExportCommand(app, invocation);
  AddDeleteCommand(app, invocation);
  app.require_subcommand(1);
  app.footer(
      "Exit codes: 0 parity or done, 1 diverged, 2 usage or bad input, 3 incomplete, lossy or not\n"
      "comparable, 4 unavailable or timed out, 5 storage error.\n"
      "\n"
      "Examples:\n"
      "  parity import --run prompt-1 llama.jsonl worker.jsonl --db parity.db\n"
      "  parity diff prompt-1 --reference llama.cpp --candidate worker-cpu --db parity.db\n"
      "  parity diff --help");
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& help) {
    app.exit(help, console.out, console.err);
    return ExitCode::kParity;
  } catch (const CLI::ParseError& error) {
    console.Message(serve::UsageError(app, error, argc, argv));
    return ExitCode::kBadInput;
  }
  const absl::Status utf8 = CheckUtf8(*app.get_subcommands().front());
  if (!utf8.ok()) {
    console.Message(utf8.message());
    return ExitCode::kBadInput;
  }
  return RunChosen(invocation, console);
}

}  // namespace parity::cli
