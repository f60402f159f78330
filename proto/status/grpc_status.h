// The one translator between absl::Status and grpc::Status. Codes are the same numbers on both
// sides.
#ifndef PARITY_PROTO_STATUS_GRPC_STATUS_H_
#define PARITY_PROTO_STATUS_GRPC_STATUS_H_

#include <grpcpp/support/status.h>

#include "absl/status/status.h"

namespace parity {

// Same code, same message; an empty one that comes from gRPC (a service that is not served there,
// a message that cannot be encoded) is replaced by what the code says.
grpc::Status ToGrpcStatus(const absl::Status& status);
absl::Status FromGrpcStatus(const grpc::Status& status);

}  // namespace parity

#endif  // PARITY_PROTO_STATUS_GRPC_STATUS_H_
