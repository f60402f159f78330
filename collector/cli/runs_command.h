// `parity runs`: which runs there are, and who captured them.
#ifndef PARITY_COLLECTOR_CLI_RUNS_COMMAND_H_
#define PARITY_COLLECTOR_CLI_RUNS_COMMAND_H_

#include "collector/cli/flags.h"

namespace parity::cli {

// Adds the subcommand. `invocation` outlives parsing; its `run` is set when the command line names
// this command.
void AddRunsCommand(CLI::App& app, Invocation& invocation);

}  // namespace parity::cli

#endif  // PARITY_COLLECTOR_CLI_RUNS_COMMAND_H_
