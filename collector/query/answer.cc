#include "collector/query/answer.h"

#include <glog/logging.h>

#include "proto/status/grpc_status.h"

namespace parity::query {

grpc::Status Answer(const char* rpc, const absl::Status& status) {
  if (absl::IsDataLoss(status) || absl::IsInternal(status)) LOG(ERROR) << rpc << ": " << status;
  return ToGrpcStatus(status);
}

}  // namespace parity::query
