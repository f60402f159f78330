// `parity show`: one run, its captures, its tokens, or one tensor of it.
#ifndef PARITY_COLLECTOR_CLI_SHOW_COMMAND_H_
#define PARITY_COLLECTOR_CLI_SHOW_COMMAND_H_

#include "collector/cli/flags.h"

namespace parity::cli {

// Adds the subcommand. `invocation` outlives parsing; its `run` is set when the command line names
// this command.
void AddShowCommand(CLI::App& app, Invocation& invocation);

}  // namespace parity::cli

#endif  // PARITY_COLLECTOR_CLI_SHOW_COMMAND_H_
