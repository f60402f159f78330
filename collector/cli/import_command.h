// `parity import`: JSONL logs into a run.
#ifndef PARITY_COLLECTOR_CLI_IMPORT_COMMAND_H_
#define PARITY_COLLECTOR_CLI_IMPORT_COMMAND_H_

#include "collector/cli/flags.h"

namespace parity::cli {

// Adds the subcommand. `invocation` outlives parsing; its `run` is set when the command line names
// this command.
void AddImportCommand(CLI::App& app, Invocation& invocation);

}  // namespace parity::cli

#endif  // PARITY_COLLECTOR_CLI_IMPORT_COMMAND_H_
