// `parity-worker run`: one generation in this process, without a server.
#ifndef PARITY_WORKER_RUN_COMMAND_H_
#define PARITY_WORKER_RUN_COMMAND_H_

#include <CLI/CLI.hpp>

namespace parity::worker {

// Adds the subcommand; its callback runs the command and leaves its exit code in `exit_code`, which
// must outlive the app.
void AddRunCommand(CLI::App& app, int& exit_code);

}  // namespace parity::worker

#endif  // PARITY_WORKER_RUN_COMMAND_H_
