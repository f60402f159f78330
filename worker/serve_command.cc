#include "worker/serve_command.h"

#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdio>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "proto/serve/flags.h"
#include "proto/serve/server.h"
#include "proto/serve/shutdown.h"
#include "proto/status/status_macros.h"
#include "worker/capture_flags.h"
#include "worker/exit_code.h"
#include "worker/loaded_model.h"
#include "worker/request/generator.h"
#include "worker/request/worker_service.h"

namespace parity::worker {
namespace {

// Running calls have been told to stop; this is for their captures to be sealed.
constexpr absl::Duration kShutdownGrace = absl::Seconds(30);

// For calls to take their next step and end with the error of a failed card; who waits for its
// collector all that time is cancelled instead.
constexpr absl::Duration kBrokenGrace = absl::Seconds(5);

constexpr char kExamples[] =
    "Examples:\n"
    "  parity-worker serve --model model.gguf --collector 127.0.0.1:50052\n"
    "  parity-worker serve --model model.gguf --engine llama --listen unix:/tmp/worker.sock\n"
    "The first line on stdout says where it listens. SIGTERM ends running calls with a finished\n"
    "event, seals their captures and exits with 0. A card that fails ends it the same way, with 6.";

struct Flags {
  ModelFlags model;
  CaptureFlags capture;
  serve::ServerOptions server = {.address = "127.0.0.1:50051"};
  int max_sessions = 4;
};

// The exit code once it has ended by a signal, or by the card's failure: that is told to health
// checks, and the running calls end with its error.
absl::StatusOr<int> Serve(const Flags& flags) {
  std::atomic<bool> broken = false;
  ASSIGN_OR_RETURN(const auto store, OpenStore(flags.capture));
  ASSIGN_OR_RETURN(const auto log, OpenLog(flags.capture));
  ASSIGN_OR_RETURN(
      const LoadedModel model, LoadModel(flags.model, [&broken](const absl::Status& status) {
        std::fprintf(stderr, "parity-worker serve: %s\n", std::string(status.message()).c_str());
        broken = true;
        kill(getpid(), SIGTERM);
      }));
  request::Served served = model.Serve();
  served.store = store.get();
  served.log = log.get();
  request::Generator generator(std::move(served), flags.max_sessions);
  request::WorkerService service(generator);
  ASSIGN_OR_RETURN(const auto server, serve::Server::Start(flags.server, {&service}));
  std::printf("listening on %s\n", server->address().c_str());
  std::fflush(stdout);
  serve::WaitForShutdownSignal();
  std::fprintf(stderr, "shutting down\n");
  server->SetServing(false);
  if (broken) service.Drain(kBrokenGrace);
  service.StopAll();
  server->Shutdown(kShutdownGrace);
  return broken ? kExitDevice : kExitOk;
}

}  // namespace

void AddServeCommand(CLI::App& app, int& exit_code) {
  auto flags = std::make_shared<Flags>();
  CLI::App* command = app.add_subcommand("serve", "Serve Generate over gRPC until SIGTERM");
  AddModelFlags(*command, flags->model);
  AddCaptureFlags(*command, flags->capture);
  serve::AddServerFlags(*command, flags->server);
  command->add_option("--max-sessions", flags->max_sessions, "Generate calls served at once")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  command->footer(kExamples);
  command->callback([flags, &exit_code] {
    const absl::StatusOr<int> code = Serve(*flags);
    exit_code = code.ok() ? *code : ExitCode(code.status());
    if (!code.ok()) {
      std::fprintf(stderr, "parity-worker serve: %s\n",
                   std::string(code.status().message()).c_str());
    }
  });
}

}  // namespace parity::worker
