// What a capture may be called, and how much may be noted about its run: checked where a request
// comes in (worker/request) and where a row is written (collector/store).
#ifndef PARITY_PROTO_TEXT_CAPTURE_NAME_H_
#define PARITY_PROTO_TEXT_CAPTURE_NAME_H_

#include <cstddef>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace parity::text {

inline constexpr size_t kMaxNameBytes = 128;  // of a run or a team

// OK, or INVALID_ARGUMENT without the name itself: "run: found 3 bytes, expected 1 to 128 of
// [A-Za-z0-9._-]".
absl::Status CheckRunName(absl::string_view run);
// Likewise; spaces and "+" are allowed too.
absl::Status CheckTeamName(absl::string_view team);
// Likewise: UTF-8 of at most 64 KiB, possibly empty.
absl::Status CheckNote(absl::string_view note);

}  // namespace parity::text

#endif  // PARITY_PROTO_TEXT_CAPTURE_NAME_H_
