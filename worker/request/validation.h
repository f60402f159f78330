// Checks a GenerateRequest before anything is computed.
#ifndef PARITY_WORKER_REQUEST_VALIDATION_H_
#define PARITY_WORKER_REQUEST_VALIDATION_H_

#include <cstdint>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "parity/v1/worker.pb.h"
#include "proto/checkpoint/name.h"

namespace parity::request {

// What a request is checked against.
struct Limits {
  int32_t vocabulary;
  int32_t context_tokens;
  absl::Span<const checkpoint::Name> checkpoints;
};

// OK, or INVALID_ARGUMENT with every violation: "2 invalid fields: temperature: found -1, expected
// 0 or more; stop[3]:
// ...". Never echoes prompt or stop strings.
absl::Status Validate(const v1::GenerateRequest& request, const Limits& limits);

// The capture whose ids the request feeds, "RUN/TEAM": its shadow or its follow; empty: its own.
const std::string& FollowedCapture(const v1::GenerateRequest& request);
// "RUN/TEAM" to its parts; INVALID_ARGUMENT.
absl::StatusOr<std::pair<std::string, std::string>> ParseFollowed(absl::string_view followed);

}  // namespace parity::request

#endif  // PARITY_WORKER_REQUEST_VALIDATION_H_
