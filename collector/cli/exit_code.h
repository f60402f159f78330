// The exit codes of the `parity` command.
#ifndef PARITY_COLLECTOR_CLI_EXIT_CODE_H_
#define PARITY_COLLECTOR_CLI_EXIT_CODE_H_

#include "absl/status/status.h"
#include "parity/v1/collector.pb.h"
#include "proto/serve/exit_code.h"

namespace parity::cli {

enum class ExitCode : int {
  kParity = serve::kExitOk,          // done; for `diff`: PARITY, or DRIFT without --fail-on-drift
  kDiverged = serve::kExitDiverged,  // `diff` found a divergence
  kBadInput = serve::kExitUsage,     // usage, or a run, team, file or glob that is not there
  kIncomplete = serve::kExitIncomplete,    // lossy, incomplete or not comparable
  kUnavailable = serve::kExitUnavailable,  // a service cannot be reached, or a deadline passed
  kStorage = serve::kExitStorage,          // the database or a file cannot be read or written
};

// The code for a failed command. REQUIRES: !status.ok().
ExitCode ExitCodeFor(const absl::Status& status);

// The code for a finished comparison. A divergence is one whatever was missing; only a pass needs
// whole captures.
ExitCode ExitCodeFor(const v1::ComparisonSummary& summary, bool fail_on_drift);

}  // namespace parity::cli

#endif  // PARITY_COLLECTOR_CLI_EXIT_CODE_H_
