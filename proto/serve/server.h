// A gRPC server with what both services share: the listening policy, health, reflection and message
// limits.
#ifndef PARITY_PROTO_SERVE_SERVER_H_
#define PARITY_PROTO_SERVE_SERVER_H_

#include <grpcpp/grpcpp.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "proto/serve/address.h"

namespace parity::serve {

// One tensor is at most 16 MiB; 20 MiB leaves room for its neighbours in a frame and for the
// framing.
inline constexpr int kMaxMessageBytes = 20 << 20;

struct ServerOptions {
  std::string address;  // "host:port" or "unix:/path"
  TlsFiles tls;
  bool insecure = false;  // listen beyond this machine without TLS
  int max_message_bytes = kMaxMessageBytes;
};

// Threading: thread-safe. The services must outlive the server.
class Server {
 public:
  // Starts serving; health says SERVING for "" and every service. Errors: INVALID_ARGUMENT (the
  // address), those of MayListen and the PEM files, UNAVAILABLE (the address is taken or cannot be
  // bound).
  static absl::StatusOr<std::unique_ptr<Server>> Start(const ServerOptions& options,
                                                       const std::vector<grpc::Service*>& services);
  ~Server();

  // Where it listens, with the port that was bound: "127.0.0.1:41235".
  const std::string& address() const { return address_; }

  // What health checks answer from now on.
  void SetServing(bool serving);

  // Says NOT_SERVING, takes no new calls, waits for running ones for at most `grace`, then cancels
  // them. Idempotent.
  void Shutdown(absl::Duration grace);

 private:
  Server() = default;

  std::unique_ptr<grpc::Server> server_;
  std::string address_;
};

}  // namespace parity::serve

#endif  // PARITY_PROTO_SERVE_SERVER_H_
