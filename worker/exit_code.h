// Which exit code an error of the worker's commands has.
#ifndef PARITY_WORKER_EXIT_CODE_H_
#define PARITY_WORKER_EXIT_CODE_H_

#include "absl/status/status.h"
#include "proto/serve/exit_code.h"

namespace parity::worker {

using serve::kExitDevice;
using serve::kExitIncomplete;
using serve::kExitOk;
using serve::kExitStorage;
using serve::kExitUnavailable;
using serve::kExitUsage;

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
