// Follows a Generate call and prints what comes.
#ifndef PARITY_COLLECTOR_CLI_GENERATE_STREAM_H_
#define PARITY_COLLECTOR_CLI_GENERATE_STREAM_H_

#include <grpcpp/client_context.h>

#include <string>

#include "absl/status/statusor.h"
#include "collector/cli/console.h"
#include "collector/cli/exit_code.h"
#include "parity/v1/worker.grpc.pb.h"

namespace parity::cli {

// Text goes to `console.out` token by token, or with `json_lines` one event a line; one closing
// line of figures goes to `console.err`. `who` names the worker in errors. A worker whose sessions
// are all busy is UNAVAILABLE.
absl::StatusOr<ExitCode> StreamGenerate(const v1::GenerateRequest& request, bool json_lines,
                                        v1::Worker::StubInterface& worker,
                                        grpc::ClientContext& context, const std::string& who,
                                        const Console& console);

}  // namespace parity::cli

#endif  // PARITY_COLLECTOR_CLI_GENERATE_STREAM_H_
