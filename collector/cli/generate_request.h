// The flags of `parity generate` that make up its request.
#ifndef PARITY_COLLECTOR_CLI_GENERATE_REQUEST_H_
#define PARITY_COLLECTOR_CLI_GENERATE_REQUEST_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "parity/v1/worker.pb.h"

namespace CLI {
class App;
}

namespace parity::cli {

struct GenerateFlags {
  std::string prompt, tokens, forced, shadow, follow;
  std::string run, team, note, capture;
  std::vector<std::string> stop;
  int32_t max_tokens = 0;
  int32_t prefill_step = 0;
  int64_t capture_values = 0;
  float temperature = 0;
  int32_t top_k = 0;
  float top_p = 0;
  float min_p = 0;
  uint64_t seed = 0;
  bool ignore_eos = false;
};

void AddGenerateFlags(CLI::App& command, GenerateFlags* flags);

// INVALID_ARGUMENT for token ids that are none, and unless one of prompt and tokens, or one of
// shadow and follow is given; the rest is the worker's to judge.
absl::StatusOr<v1::GenerateRequest> MakeGenerateRequest(const GenerateFlags& flags);

}  // namespace parity::cli

#endif  // PARITY_COLLECTOR_CLI_GENERATE_REQUEST_H_
