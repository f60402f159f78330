// `parity-worker serve`: the gRPC service, until SIGTERM.
#ifndef PARITY_WORKER_SERVE_COMMAND_H_
#define PARITY_WORKER_SERVE_COMMAND_H_

#include <CLI/CLI.hpp>

namespace parity::worker {

// Adds the subcommand; its callback runs the command and leaves its exit code in `exit_code`, which
// must outlive the app.
void AddServeCommand(CLI::App& app, int& exit_code);

}  // namespace parity::worker

#endif  // PARITY_WORKER_SERVE_COMMAND_H_
