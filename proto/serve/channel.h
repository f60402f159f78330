// Client channels to the services.
#ifndef PARITY_PROTO_SERVE_CHANNEL_H_
#define PARITY_PROTO_SERVE_CHANNEL_H_

#include <grpcpp/channel.h>

#include <memory>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "proto/serve/address.h"

namespace parity::serve {

// A channel to "host:port" or "unix:/path"; TLS when tls.authority is set. Connects at the first
// call, and again within a second or two when a server comes back. Errors: INVALID_ARGUMENT (the
// address, a file that is no PEM), NOT_FOUND (a PEM file).
absl::StatusOr<std::shared_ptr<grpc::Channel>> OpenChannel(absl::string_view address,
                                                           const TlsFiles& tls);

}  // namespace parity::serve

#endif  // PARITY_PROTO_SERVE_CHANNEL_H_
