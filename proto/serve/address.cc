#include "proto/serve/address.h"

#include <arpa/inet.h>
#include <sys/un.h>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace parity::serve {
namespace {

absl::Status BadAddress(absl::string_view text, absl::string_view why) {
  return absl::InvalidArgumentError(
      absl::StrCat("address '", text, "': ", why, "; expected host:port or unix:/path"));
}

}  // namespace

absl::StatusOr<Address> ParseAddress(absl::string_view text) {
  Address address;
  absl::string_view rest = text;
  if (absl::ConsumePrefix(&rest, "unix:")) {
    if (rest.empty()) return BadAddress(text, "the socket path is empty");
    // sun_path holds the path and its terminating zero.
    constexpr size_t kMaxPath = sizeof(sockaddr_un::sun_path) - 1;
    if (rest.size() > kMaxPath) {
      return BadAddress(text, absl::StrCat("the socket path has ", rest.size(),
                                           " bytes, the system allows ", kMaxPath));
    }
    address.socket_path = std::string(rest);
    return address;
  }
  const size_t colon = rest.rfind(':');
  if (colon == absl::string_view::npos) return BadAddress(text, "no port");
  absl::string_view host = rest.substr(0, colon);
  const bool bracketed = absl::ConsumePrefix(&host, "[") && absl::ConsumeSuffix(&host, "]");
  if (host.empty()) return BadAddress(text, "no host");
  if (!bracketed && host.find_first_of("[]:/") != absl::string_view::npos) {
    return BadAddress(text, "the host is not a name, an IPv4 address or a bracketed IPv6 address");
  }
  uint32_t port = 0;
  if (!absl::SimpleAtoi(rest.substr(colon + 1), &port) || port > 65535) {
    return BadAddress(text, "the port is not a number from 0 to 65535");
  }
  address.host = std::string(host);
  address.port = static_cast<uint16_t>(port);
  return address;
}

std::string ToString(const Address& address) {
  if (!address.socket_path.empty()) return absl::StrCat("unix:", address.socket_path);
  if (absl::StrContains(address.host, ':')) {
    return absl::StrCat("[", address.host, "]:", address.port);
  }
  return absl::StrCat(address.host, ":", address.port);
}

bool IsLocal(const Address& address) {
  if (!address.socket_path.empty()) return true;
  if (address.host == "localhost") return true;
  in_addr v4;
  if (inet_pton(AF_INET, address.host.c_str(), &v4) == 1) return (ntohl(v4.s_addr) >> 24) == 127;
  in6_addr v6;
  if (inet_pton(AF_INET6, address.host.c_str(), &v6) == 1) return IN6_IS_ADDR_LOOPBACK(&v6);
  return false;
}

absl::Status MayListen(const Address& address, const TlsFiles& tls, bool insecure) {
  if (tls.certificate.empty() != tls.key.empty()) {
    return absl::InvalidArgumentError("--tls-cert and --tls-key go together; one is missing");
  }
  if (!tls.authority.empty() && tls.certificate.empty()) {
    return absl::InvalidArgumentError("--tls-ca needs --tls-cert and --tls-key");
  }
  if (IsLocal(address) || !tls.certificate.empty() || insecure) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(
      "refusing to listen on ", ToString(address),
      ", which other machines can reach: give --tls-cert and --tls-key, or --insecure"));
}

}  // namespace parity::serve
