// The exit codes every Parity command shares (DESIGN 7).
#ifndef PARITY_COLLECTOR_CLI_EXIT_CODE_H_
#define PARITY_COLLECTOR_CLI_EXIT_CODE_H_

#include "absl/status/status.h"
#include "parity/v1/collector.pb.h"

namespace parity::cli {

enum class ExitCode : int {
  kParity = 0,       // done; for `diff`: PARITY, or DRIFT without --fail-on-drift
  kDiverged = 1,     // `diff` found a divergence
  kBadInput = 2,     // usage, or a run, team, file or glob that is not there
  kIncomplete = 3,   // lossy, incomplete or not comparable
  kUnavailable = 4,  // a service cannot be reached, or a deadline passed
  kStorage = 5,      // the database or a file cannot be read or written
};

// The code for a failed command. REQUIRES: !status.ok().
ExitCode ExitCodeFor(const absl::Status& status);

// The code for a finished comparison. A divergence is one whatever was missing; only a pass needs
// whole captures.
ExitCode ExitCodeFor(const v1::ComparisonSummary& summary, bool fail_on_drift);

}  // namespace parity::cli

#endif  // PARITY_COLLECTOR_CLI_EXIT_CODE_H_
