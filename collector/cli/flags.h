// Flags that several commands share, and the small languages their values are written in.
#ifndef PARITY_COLLECTOR_CLI_FLAGS_H_
#define PARITY_COLLECTOR_CLI_FLAGS_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "collector/cli/connection.h"
#include "collector/cli/console.h"
#include "collector/cli/exit_code.h"

namespace CLI {
class App;
}

namespace parity::cli {

// What the parsed command line asks for; set by the chosen subcommand.
struct Invocation {
  std::function<absl::StatusOr<ExitCode>(const Console&)> run;
};

// Which positions, both ends inclusive.
struct PositionRange {
  int32_t first = 0;
  std::optional<int32_t> last;  // absent: to the end
};

// "7", "3-9", "3-", "-9"; "" is everything. INVALID_ARGUMENT names the flag's value.
absl::StatusOr<PositionRange> ParsePositions(absl::string_view text);

// Adds --collector, --db, --timeout and the TLS flags.
void AddConnectionFlags(CLI::App& command, ConnectionOptions* options);
// Adds --min-free-mib, for a command that writes to --db. REQUIRES: AddConnectionFlags() before.
void AddReserveFlag(CLI::App& command, ConnectionOptions* options);
// Adds --timeout and the TLS flags alone, for a command that talks to a worker.
void AddChannelFlags(CLI::App& command, serve::TlsFiles* tls, double* timeout_seconds);
// Adds --format with the choices it takes, for example {"table", "json"}; the first is the default.
void AddFormatFlag(CLI::App& command, const std::vector<std::string>& choices, std::string* format);
// Adds a repeatable --checkpoint (also comma-separated) and --positions.
void AddSelectionFlags(CLI::App& command, std::vector<std::string>* checkpoints,
                       std::string* positions);

// Makes `command` open its connection and call `body` when it was chosen. `options` stays alive
// with the command and has a member `connection`.
template <typename Options>
std::function<void()> OnCollector(Invocation& invocation, std::shared_ptr<Options> options,
                                  Access access,
                                  absl::StatusOr<ExitCode> (*body)(const Options&, Connection&,
                                                                   const Console&)) {
  return [&invocation, options, access, body] {
    invocation.run = [options, access, body](const Console& console) -> absl::StatusOr<ExitCode> {
      auto connection = Connection::Open(options->connection, access);
      if (!connection.ok()) return connection.status();
      return body(*options, **connection, console);
    };
  };
}

}  // namespace parity::cli

#endif  // PARITY_COLLECTOR_CLI_FLAGS_H_
