// The flags that say what to compare, shared by `parity diff` and `parity export`.
#ifndef PARITY_COLLECTOR_CLI_COMPARE_REQUEST_H_
#define PARITY_COLLECTOR_CLI_COMPARE_REQUEST_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "parity/v1/collector.pb.h"

namespace CLI {
class App;
}

namespace parity::cli {

struct CompareFlags {
  std::string run, reference, candidate, candidate_run, positions, profile;
  std::vector<std::string> checkpoints;
};

// Adds --reference, --candidate, --candidate-run, --profile and the selection flags.
void AddCompareFlags(CLI::App& command, CompareFlags* flags, bool required);

// INVALID_ARGUMENT for a bad --positions. `store` is left unset.
absl::StatusOr<v1::CompareRequest> MakeCompareRequest(const CompareFlags& flags);

}  // namespace parity::cli

#endif  // PARITY_COLLECTOR_CLI_COMPARE_REQUEST_H_
