#include "proto/status/grpc_status.h"

#include <gtest/gtest.h>

#include "absl/status/statusor.h"
#include "proto/status/status_macros.h"

namespace parity {
namespace {

TEST(GrpcStatusTest, EveryCodeSurvivesTheRoundTrip) {
  for (int code = 1; code <= 16; ++code) {
    const absl::Status status(static_cast<absl::StatusCode>(code), "why");
    const grpc::Status wire = ToGrpcStatus(status);
    EXPECT_EQ(wire.error_code(), code);
    EXPECT_EQ(FromGrpcStatus(wire), status);
  }
  EXPECT_TRUE(ToGrpcStatus(absl::OkStatus()).ok());
  EXPECT_TRUE(FromGrpcStatus(grpc::Status::OK).ok());
}

TEST(GrpcStatusTest, AnEmptyMessageSaysWhatTheCodeSays) {
  const absl::Status unserved = FromGrpcStatus(grpc::Status(grpc::UNIMPLEMENTED, ""));
  EXPECT_EQ(unserved.message(), "serves no such call (UNIMPLEMENTED)");
  EXPECT_TRUE(absl::IsUnimplemented(unserved));
  EXPECT_EQ(FromGrpcStatus(grpc::Status(grpc::INTERNAL, "")).message(),
            "the call failed without a reason (INTERNAL)");
}

absl::StatusOr<int> Half(int value) {
  if (value % 2 != 0) return absl::InvalidArgumentError("odd");
  return value / 2;
}

absl::StatusOr<int> Quarter(int value) {
  ASSIGN_OR_RETURN(const int half, Half(value));
  ASSIGN_OR_RETURN(const int quarter, Half(half));
  return quarter;
}

absl::Status CheckQuarter(int value) {
  RETURN_IF_ERROR(Quarter(value).status());
  return absl::OkStatus();
}

TEST(StatusMacrosTest, ReturnTheFirstErrorAndMoveValues) {
  EXPECT_EQ(Quarter(12).value(), 3);
  EXPECT_EQ(Quarter(6).status().message(), "odd");
  EXPECT_TRUE(CheckQuarter(4).ok());
  EXPECT_EQ(CheckQuarter(5).message(), "odd");
}

}  // namespace
}  // namespace parity
