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

namespace parity::cli {
namespace {

// "parity diff", or "parity" when no command was recognised.
std::string CommandName(const CLI::App& app) {
  const auto chosen = app.get_subcommands();
  return chosen.empty() ? "parity" : absl::StrCat("parity ", chosen.front()->get_name());
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
    const std::string name = CommandName(app);
    if (name == "parity" && argc > 1 && argv[1][0] != '-') {
      console.Message(absl::StrCat("there is no command '", argv[1], "' (see parity --help)"));
      return ExitCode::kBadInput;
    }
    console.Message(absl::StrCat(error.what(), " (see ", name, " --help)"));
    return ExitCode::kBadInput;
  }
  return RunChosen(invocation, console);
}

}  // namespace parity::cli
