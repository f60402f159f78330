// Addresses that a service listens on or a client calls: "host:port" or "unix:/path".
#ifndef PARITY_PROTO_SERVE_ADDRESS_H_
#define PARITY_PROTO_SERVE_ADDRESS_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace parity::serve {

// A parsed address. Exactly one of `socket_path` and `host` is set.
struct Address {
  std::string socket_path;  // "unix:/path" without its prefix
  std::string host;         // without the brackets of an IPv6 address
  uint16_t port = 0;        // 0: any free port
};

// INVALID_ARGUMENT naming what was found and the two forms that are expected.
absl::StatusOr<Address> ParseAddress(absl::string_view text);

// "host:port" ("[v6]:port") or "unix:/path": what gRPC takes.
std::string ToString(const Address& address);

// Whether only this machine can reach the address: a unix socket, 127.0.0.0/8, ::1 or "localhost".
bool IsLocal(const Address& address);

// Files in PEM form. Empty: not given.
struct TlsFiles {
  std::string certificate;  // this side's certificate chain
  std::string key;          // its private key
  std::string authority;    // whom to trust: a server then demands client certificates
};

// OK when a service may listen on `address`: local, or with a certificate, or because the caller
// insists. FAILED_PRECONDITION naming the address and the flags that would allow it;
// INVALID_ARGUMENT when only one of certificate and key is given.
absl::Status MayListen(const Address& address, const TlsFiles& tls, bool insecure);

}  // namespace parity::serve

#endif  // PARITY_PROTO_SERVE_ADDRESS_H_
