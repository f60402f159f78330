// Reads PEM files into gRPC credentials.
#ifndef PARITY_PROTO_SERVE_TLS_H_
#define PARITY_PROTO_SERVE_TLS_H_

#include <grpcpp/security/credentials.h>
#include <grpcpp/security/server_credentials.h>

#include <memory>

#include "absl/status/statusor.h"
#include "proto/serve/address.h"

namespace parity::serve {

// Without a certificate: plain text. With an authority: clients must show a certificate signed by
// it. Errors name the file: NOT_FOUND (it cannot be read), INVALID_ARGUMENT (no PEM of its kind).
absl::StatusOr<std::shared_ptr<grpc::ServerCredentials>> ServerCredentials(const TlsFiles& tls);

// Without an authority: plain text. Else the server must show a certificate signed by it; our own
// certificate is shown when there is one. Errors as above.
absl::StatusOr<std::shared_ptr<grpc::ChannelCredentials>> ChannelCredentials(const TlsFiles& tls);

}  // namespace parity::serve

#endif  // PARITY_PROTO_SERVE_TLS_H_
