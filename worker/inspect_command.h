// `parity-worker inspect`: what a GGUF file holds.
#ifndef PARITY_WORKER_INSPECT_COMMAND_H_
#define PARITY_WORKER_INSPECT_COMMAND_H_

#include <CLI/CLI.hpp>

namespace parity::worker {

// Adds the subcommand; its callback runs the command and leaves its exit code in `exit_code`, which
// must outlive the app.
void AddInspectCommand(CLI::App& app, int& exit_code);

}  // namespace parity::worker

#endif  // PARITY_WORKER_INSPECT_COMMAND_H_
