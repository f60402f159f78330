#include "proto/status/grpc_status.h"

#include <string>

#include "absl/strings/str_cat.h"

namespace parity {

grpc::Status ToGrpcStatus(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  return grpc::Status(static_cast<grpc::StatusCode>(status.code()), std::string(status.message()));
}

absl::Status FromGrpcStatus(const grpc::Status& status) {
  if (status.ok()) return absl::OkStatus();
  if (status.error_message().empty()) {
    const auto code = static_cast<absl::StatusCode>(status.error_code());
    const absl::string_view why = code == absl::StatusCode::kUnimplemented
                                      ? "serves no such call"
                                      : "the call failed without a reason";
    return absl::Status(code, absl::StrCat(why, " (", absl::StatusCodeToString(code), ")"));
  }
  return absl::Status(static_cast<absl::StatusCode>(status.error_code()), status.error_message());
}

}  // namespace parity
