// How a call of the Collector ends.
#ifndef PARITY_COLLECTOR_QUERY_ANSWER_H_
#define PARITY_COLLECTOR_QUERY_ANSWER_H_

#include <grpcpp/support/status.h>

#include "absl/status/status.h"

namespace parity::query {

// The one place where an error of a call is logged: only those that are not the caller's. To be
// called once a call.
grpc::Status Answer(const char* rpc, const absl::Status& status);

}  // namespace parity::query

#endif  // PARITY_COLLECTOR_QUERY_ANSWER_H_
