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
  return absl::Status(static_cast<absl::StatusCode>(status.error_code()), status.error_message());
}

absl::Status Annotate(const absl::Status& status, absl::string_view subject) {
  if (status.ok()) return status;
  return absl::Status(status.code(), absl::StrCat(subject, ": ", status.message()));
}

}  // namespace parity
