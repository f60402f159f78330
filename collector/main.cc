// parity-collector: stores captures in a SQLite file and answers questions about them.
#include <glog/logging.h>
#include <malloc.h>
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <cstdint>
#include <iostream>
#include <memory>
#include <string>

#include "absl/time/time.h"
#include "collector/query/collector_service.h"
#include "collector/store/capture_store.h"
#include "proto/serve/address.h"
#include "proto/serve/command_line.h"
#include "proto/serve/exit_code.h"
#include "proto/serve/flags.h"
#include "proto/serve/server.h"
#include "proto/serve/shutdown.h"

namespace parity {
namespace {

constexpr char kExamples[] =
    "Examples:\n"
    "  parity-collector serve --db parity.db --listen 127.0.0.1:50052\n"
    "  parity-collector serve --db parity.db --listen unix:/run/parity/collector.sock\n"
    "  sqlite3 parity.db 'SELECT run, team, status, tensors FROM v_runs'\n"
    "Exit codes: 0 stopped by a signal, 2 usage or bad input, 4 unavailable (address or database "
    "in "
    "use), 5 storage error.";

constexpr absl::Duration kGrace = absl::Seconds(10);  // for running calls at SIGTERM

struct ServeFlags {
  std::string db;
  serve::ServerOptions server;
  int64_t min_free_mib = store::StoreOptions().min_free_bytes >> 20;
  int nice = 19;
};

int Fail(const absl::Status& status, int otherwise) {
  std::cerr << "parity-collector: " << status.message() << "\n";
  if (absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status)) {
    return serve::kExitUnavailable;
  }
  if (absl::IsInvalidArgument(status)) return serve::kExitUsage;
  return otherwise;
}

// What the flags alone can be refused for, before a file is made.
absl::Status CheckListen(const serve::ServerOptions& server) {
  const absl::StatusOr<serve::Address> address = serve::ParseAddress(server.address);
  if (!address.ok()) return address.status();
  return serve::MayListen(*address, server.tls, server.insecure);
}

int Serve(const ServeFlags& flags) {
  const absl::Status may_listen = CheckListen(flags.server);
  if (!may_listen.ok()) return Fail(may_listen, serve::kExitUsage);
  // Before any thread starts: all inherit it.
  if (setpriority(PRIO_PROCESS, 0, flags.nice) != 0) PLOG(WARNING) << "cannot set the priority";
  store::StoreOptions options;
  options.min_free_bytes = flags.min_free_mib << 20;
  auto store = store::CaptureStore::Open(flags.db, store::OpenMode::kReadWrite, options);
  if (!store.ok()) return Fail(store.status(), serve::kExitStorage);
  query::CollectorService service(store->get(), flags.server.max_message_bytes);
  auto server = serve::Server::Start(flags.server, {&service});
  if (!server.ok()) return Fail(server.status(), serve::kExitUsage);
  std::cerr << "parity-collector: " << flags.db << ", listening on " << (*server)->address()
            << std::endl;
  serve::WaitForShutdownSignal();
  std::cerr << "parity-collector: stopping" << std::endl;
  (*server)->Shutdown(kGrace);  // streams end, and their captures are marked
  server->reset();
  store->reset();  // what is queued is committed, the WAL emptied
  return serve::kExitOk;
}

int Main(int argc, char** argv) {
  CLI::App app("Stores captures of LLM inference in a SQLite file and compares them.",
               "parity-collector");
  app.footer(kExamples);
  app.require_subcommand(1);
  ServeFlags flags;
  flags.server.address = "127.0.0.1:50052";
  CLI::App* serve = app.add_subcommand("serve", "Serve the Collector over gRPC until SIGTERM");
  serve->footer(kExamples);
  serve->add_option("--db", flags.db, "SQLite file; created when new")->required();
  serve::AddServerFlags(*serve, flags.server);
  serve
      ->add_option("--max-message-bytes", flags.server.max_message_bytes,
                   "Largest message taken; a tensor may have 16 MiB")
      ->check(CLI::Range(64 << 10, 64 << 20))
      ->capture_default_str();
  serve
      ->add_option("--min-free-mib", flags.min_free_mib,
                   "Refuse writes while the disk has less free than this")
      ->check(CLI::Range(0, 1 << 30))
      ->capture_default_str();
  serve
      ->add_option("--nice", flags.nice,
                   "Priority (0 to 19): an engine on the same cores comes first, its queue waits")
      ->check(CLI::Range(0, 19))
      ->capture_default_str();
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& help) {
    return app.exit(help);
  } catch (const CLI::ParseError& error) {
    std::cerr << "parity-collector: " << serve::UsageError(app, error, argc, argv) << "\n";
    return serve::kExitUsage;
  }
  return Serve(flags);
}

}  // namespace
}  // namespace parity

int main(int argc, char** argv) {
  // Frames come and go by the half MiB: keep their memory instead of giving it back to the kernel,
  // whose page faults were an eighth of ingest's CPU time.
  mallopt(M_MMAP_THRESHOLD, 32 << 20);
  mallopt(M_TRIM_THRESHOLD, 128 << 20);
  mallopt(M_TOP_PAD, 4 << 20);
  google::InitGoogleLogging(argv[0]);
  FLAGS_logtostderr = true;
  parity::serve::BlockShutdownSignals();
  return parity::Main(argc, argv);
}
