// The exit codes of the worker's commands.
#ifndef PARITY_WORKER_EXIT_CODE_H_
#define PARITY_WORKER_EXIT_CODE_H_

#include "absl/status/status.h"

namespace parity::worker {

inline constexpr int kExitOk = 0;
inline constexpr int kExitUsage = 2;        // usage or bad input
inline constexpr int kExitIncomplete = 3;   // incomplete or lossy
inline constexpr int kExitUnavailable = 4;  // unavailable or timed out
inline constexpr int kExitStorage = 5;      // a file could not be written
inline constexpr int kExitDevice = 6;       // the card has failed: a fresh process is needed

inline int ExitCode(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kOk:
      return kExitOk;
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kDeadlineExceeded:
    case absl::StatusCode::kResourceExhausted:
      return kExitUnavailable;
    case absl::StatusCode::kDataLoss:
      return kExitStorage;
    case absl::StatusCode::kCancelled:
    case absl::StatusCode::kInternal:
    case absl::StatusCode::kUnknown:
      return kExitIncomplete;
    default:
      return kExitUsage;
  }
}

}  // namespace parity::worker

#endif  // PARITY_WORKER_EXIT_CODE_H_
