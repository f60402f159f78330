// Runs Export and writes the text somewhere.
#ifndef PARITY_COLLECTOR_CLI_EXPORT_STREAM_H_
#define PARITY_COLLECTOR_CLI_EXPORT_STREAM_H_

#include <cstdint>
#include <functional>
#include <ostream>

#include "absl/status/status.h"
#include "collector/cli/connection.h"
#include "parity/v1/collector.pb.h"

namespace parity::cli {

// Streams the text into `out`; `on_bytes`, when set, is told of every piece. Stops early with
// DATA_LOSS when `out` fails.
absl::Status StreamExport(const v1::ExportRequest& request, Connection& collector,
                          std::ostream& out,
                          const std::function<void(int64_t)>& on_bytes = nullptr);

}  // namespace parity::cli

#endif  // PARITY_COLLECTOR_CLI_EXPORT_STREAM_H_
