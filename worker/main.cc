// parity-worker: runs a model and captures what was computed on the way.
#include <glog/logging.h>
#include <malloc.h>

#include <CLI/CLI.hpp>
#include <cstdio>

#include "proto/serve/command_line.h"
#include "proto/serve/shutdown.h"
#include "worker/exit_code.h"
#include "worker/inspect_command.h"
#include "worker/run_command.h"
#include "worker/serve_command.h"
#include "worker/tokenize_command.h"

int main(int argc, char** argv) {
  // Captured frames come and go by the half MiB: their memory is kept, since the kernel would clear
  // each page again. Weights are larger and stay outside.
  mallopt(M_MMAP_THRESHOLD, 4 << 20);
  mallopt(M_TRIM_THRESHOLD, 256 << 20);
  mallopt(M_TOP_PAD, 4 << 20);
  parity::serve::BlockShutdownSignals();
  FLAGS_logtostderr = true;
  FLAGS_minloglevel = google::GLOG_WARNING;
  google::InitGoogleLogging(argv[0]);

  CLI::App app("Runs a GGUF model and streams its intermediate tensors to a collector");
  app.name("parity-worker");
  app.require_subcommand(1);
  int exit_code = parity::worker::kExitOk;
  parity::worker::AddServeCommand(app, exit_code);
  parity::worker::AddRunCommand(app, exit_code);
  parity::worker::AddTokenizeCommand(app, exit_code);
  parity::worker::AddInspectCommand(app, exit_code);
  app.footer(
      "Examples:\n"
      "  parity-worker run --model model.gguf --prompt 'Hello'\n"
      "  parity-worker serve --model model.gguf --collector 127.0.0.1:50052\n"
      "  parity-worker COMMAND --help");
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& help) {
    return app.exit(help);
  } catch (const CLI::ParseError& error) {
    std::fprintf(stderr, "parity-worker: %s\n",
                 parity::serve::UsageError(app, error, argc, argv).c_str());
    return parity::worker::kExitUsage;
  }
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return exit_code;
  std::fprintf(stderr, "parity-worker: standard output cannot be written\n");
  return exit_code == parity::worker::kExitOk ? parity::worker::kExitStorage : exit_code;
}
