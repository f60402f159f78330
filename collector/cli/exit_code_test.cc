#include "collector/cli/exit_code.h"

#include <gtest/gtest.h>

namespace parity::cli {
namespace {

v1::ComparisonSummary Summary(v1::Verdict verdict,
                              v1::CaptureStatus candidate = v1::CAPTURE_STATUS_COMPLETE) {
  v1::ComparisonSummary summary;
  summary.set_verdict(verdict);
  summary.set_reference_status(v1::CAPTURE_STATUS_COMPLETE);
  summary.set_candidate_status(candidate);
  return summary;
}

TEST(ExitCodeTest, ErrorsMapToTheFiveCodes) {
  EXPECT_EQ(ExitCodeFor(absl::NotFoundError("")), ExitCode::kBadInput);
  EXPECT_EQ(ExitCodeFor(absl::InvalidArgumentError("")), ExitCode::kBadInput);
  EXPECT_EQ(ExitCodeFor(absl::AlreadyExistsError("")), ExitCode::kBadInput);
  EXPECT_EQ(ExitCodeFor(absl::FailedPreconditionError("")), ExitCode::kBadInput);
  EXPECT_EQ(ExitCodeFor(absl::UnavailableError("")), ExitCode::kUnavailable);
  EXPECT_EQ(ExitCodeFor(absl::DeadlineExceededError("")), ExitCode::kUnavailable);
  EXPECT_EQ(ExitCodeFor(absl::DataLossError("")), ExitCode::kStorage);
  EXPECT_EQ(ExitCodeFor(absl::ResourceExhaustedError("")), ExitCode::kStorage);
}

TEST(ExitCodeTest, DriftPassesUnlessAskedNotTo) {
  EXPECT_EQ(ExitCodeFor(Summary(v1::VERDICT_PARITY), false), ExitCode::kParity);
  EXPECT_EQ(ExitCodeFor(Summary(v1::VERDICT_DRIFT), false), ExitCode::kParity);
  EXPECT_EQ(ExitCodeFor(Summary(v1::VERDICT_DRIFT), true), ExitCode::kDiverged);
  EXPECT_EQ(ExitCodeFor(Summary(v1::VERDICT_DIVERGED), false), ExitCode::kDiverged);
  EXPECT_EQ(ExitCodeFor(Summary(v1::VERDICT_NOT_COMPARABLE), false), ExitCode::kIncomplete);
  EXPECT_EQ(ExitCodeFor(Summary(v1::VERDICT_INCOMPLETE), false), ExitCode::kIncomplete);
  EXPECT_EQ(ExitCodeFor(Summary(v1::VERDICT_UNSPECIFIED), false), ExitCode::kIncomplete);
}

TEST(ExitCodeTest, AnIncompleteCaptureNeverPassesButStillDiverges) {
  const auto lossy = v1::CAPTURE_STATUS_INCOMPLETE;
  EXPECT_EQ(ExitCodeFor(Summary(v1::VERDICT_PARITY, lossy), false), ExitCode::kIncomplete);
  EXPECT_EQ(ExitCodeFor(Summary(v1::VERDICT_DRIFT, lossy), false), ExitCode::kIncomplete);
  EXPECT_EQ(ExitCodeFor(Summary(v1::VERDICT_DIVERGED, lossy), false), ExitCode::kDiverged);
}

}  // namespace
}  // namespace parity::cli
