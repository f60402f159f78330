// `parity`: questions to a collector or a database file, and generation on a worker.
#include <gflags/gflags.h>
#include <glog/logging.h>
#include <malloc.h>

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <iostream>

#include "collector/cli/console.h"
#include "collector/cli/exit_code.h"
#include "collector/cli/parity_app.h"

namespace {

void QuietLibraries(char** argv) {
  // What fails is said once, by us: the service that hosts a file in this process would log it too.
  setenv("GRPC_VERBOSITY", "NONE", /*overwrite=*/0);
  FLAGS_logtostderr = true;
  FLAGS_minloglevel = google::GLOG_FATAL;
  google::InitGoogleLogging(argv[0]);
}

}  // namespace

int main(int argc, char** argv) {
  // Texts and batches of an import come and go by the MiB: their memory is kept, since the kernel
  // would clear each page again.
  mallopt(M_MMAP_THRESHOLD, 4 << 20);
  mallopt(M_TRIM_THRESHOLD, 256 << 20);
  mallopt(M_TOP_PAD, 4 << 20);
  QuietLibraries(argv);
  const parity::cli::Console console = parity::cli::Console::Standard();
  return static_cast<int>(parity::cli::RunParity(argc, argv, console));
}
