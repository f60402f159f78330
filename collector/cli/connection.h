// How a command reaches a collector: over the network, or a database file hosted in this process.
#ifndef PARITY_COLLECTOR_CLI_CONNECTION_H_
#define PARITY_COLLECTOR_CLI_CONNECTION_H_

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "parity/v1/collector.grpc.pb.h"
#include "proto/serve/address.h"

namespace parity::query {
class LocalCollector;
}

namespace parity::cli {

struct ConnectionOptions {
  std::string collector;  // address, "HOST:PORT" or "unix:PATH"
  std::string db;         // database file; exactly one of the two is set
  // Writes to `db` are refused while its disk has less free than this. A collector keeps 2 GiB,
  // since it writes for days and nobody looks; a command writes as much as its log or its
  // comparison and says so, so this only has to leave the machine working.
  int64_t min_free_mib = 256;
  double timeout_seconds = 0;  // of a whole call; 0: none
  serve::TlsFiles tls;
};

// kUpdate writes to a database that has to be there already; kImport creates it.
enum class Access { kRead, kUpdate, kImport };

// Connects and waits until the service is there. UNAVAILABLE names `who` and the address.
absl::StatusOr<std::shared_ptr<grpc::Channel>> OpenChannel(const std::string& who,
                                                           const std::string& address,
                                                           const serve::TlsFiles& tls,
                                                           double timeout_seconds);

// Sets the deadline of a call. 0: none.
void SetTimeout(double timeout_seconds, grpc::ClientContext* context);

// A collector to call. Thread-compatible.
class Connection {
 public:
  using Stub = v1::Collector::StubInterface;

  // INVALID_ARGUMENT unless exactly one of collector and db is given; NOT_FOUND when a file to read
  // is not there; UNAVAILABLE when nobody listens.
  static absl::StatusOr<std::unique_ptr<Connection>> Open(const ConnectionOptions& options,
                                                          Access access);

  // `where` names the collector in errors. `owner` keeps what `stub` needs alive; `local` is
  // the collector in this process to use instead of a stub.
  Connection(std::string where, double timeout_seconds, Stub* stub, std::shared_ptr<void> owner,
             query::LocalCollector* local = nullptr)
      : where_(std::move(where)),
        timeout_seconds_(timeout_seconds),
        owner_(std::move(owner)),
        stub_(stub),
        local_(local) {}

  Stub& stub();
  std::unique_ptr<grpc::ClientContext> NewContext() const;
  // Compares: every row in order, then the summary. DEADLINE_EXCEEDED after the timeout.
  absl::Status Compare(const v1::CompareRequest& request,
                       const std::function<void(const v1::ComparisonRow&)>& on_row,
                       v1::ComparisonSummary* summary) const;
  // Hands bytes of a log on; false: no more are wanted.
  using LogSink = std::function<bool(absl::string_view)>;
  // Imports the log that `read` hands to its argument. Nothing is stored when `read` fails: its
  // error comes back. DEADLINE_EXCEEDED after the timeout. A database file that did not exist
  // before is gone again after an error, or when a signal ends the process (UnfinishedFiles).
  absl::Status Import(const v1::ImportOptions& options,
                      const std::function<absl::Status(const LogSink&)>& read,
                      v1::ImportResponse* response) const;
  // The status of a finished call, annotated with where the collector is.
  absl::Status Result(const grpc::Status& status) const;

 private:
  absl::Status TimeIsUp() const;
  // TimeIsUp() where there is a timeout and it is past `deadline`.
  absl::Status CheckTime(std::chrono::system_clock::time_point deadline) const;
  absl::Status ImportHere(const v1::ImportOptions& options,
                          const std::function<absl::Status(const LogSink&)>& read,
                          v1::ImportResponse* response) const;

  std::string where_;
  double timeout_seconds_;
  std::shared_ptr<void> owner_;
  Stub* stub_;
  query::LocalCollector* local_;
};

}  // namespace parity::cli

#endif  // PARITY_COLLECTOR_CLI_CONNECTION_H_
