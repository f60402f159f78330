#include "collector/cli/exit_code.h"

namespace parity::cli {

ExitCode ExitCodeFor(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kDeadlineExceeded:
    case absl::StatusCode::kCancelled:
      return ExitCode::kUnavailable;
    case absl::StatusCode::kDataLoss:
    case absl::StatusCode::kResourceExhausted:
    case absl::StatusCode::kPermissionDenied:
    case absl::StatusCode::kAborted:
    case absl::StatusCode::kInternal:
    case absl::StatusCode::kUnknown:
      return ExitCode::kStorage;
    default:
      return ExitCode::kBadInput;
  }
}

ExitCode ExitCodeFor(const v1::ComparisonSummary& summary, bool fail_on_drift) {
  const bool incomplete = summary.reference_status() != v1::CAPTURE_STATUS_COMPLETE ||
                          summary.candidate_status() != v1::CAPTURE_STATUS_COMPLETE;
  switch (summary.verdict()) {
    case v1::VERDICT_DIVERGED:
      return ExitCode::kDiverged;
    case v1::VERDICT_DRIFT:
      if (fail_on_drift) return ExitCode::kDiverged;
      return incomplete ? ExitCode::kIncomplete : ExitCode::kParity;
    case v1::VERDICT_PARITY:
      return incomplete ? ExitCode::kIncomplete : ExitCode::kParity;
    default:
      return ExitCode::kIncomplete;
  }
}

}  // namespace parity::cli
