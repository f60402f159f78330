// `parity delete`: a run, or one team's capture of it.
#ifndef PARITY_COLLECTOR_CLI_DELETE_COMMAND_H_
#define PARITY_COLLECTOR_CLI_DELETE_COMMAND_H_

#include "collector/cli/flags.h"

namespace parity::cli {

// Adds the subcommand. `invocation` outlives parsing; its `run` is set when the command line names
// this command.
void AddDeleteCommand(CLI::App& app, Invocation& invocation);

}  // namespace parity::cli

#endif  // PARITY_COLLECTOR_CLI_DELETE_COMMAND_H_
