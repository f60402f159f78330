#include "proto/serve/tls.h"

#include <fstream>
#include <sstream>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "proto/status/status_macros.h"

namespace parity::serve {
namespace {

constexpr absl::string_view kCertificate = "CERTIFICATE";
constexpr absl::string_view kKey = "PRIVATE KEY";

// `kind` is how a PEM header of the wanted kind ends. gRPC would only say that it cannot listen.
absl::StatusOr<std::string> ReadPem(const std::string& path, absl::string_view kind) {
  if (path.empty()) return std::string();
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  if (!in || !(text << in.rdbuf())) {
    return absl::NotFoundError(absl::StrCat("cannot read the PEM file ", path));
  }
  if (!absl::StrContains(text.str(), absl::StrCat(kind, "-----"))) {
    return absl::InvalidArgumentError(absl::StrCat(path, " holds no ", kind, " in PEM form"));
  }
  return text.str();
}

}  // namespace

absl::StatusOr<std::shared_ptr<grpc::ServerCredentials>> ServerCredentials(const TlsFiles& tls) {
  if (tls.certificate.empty()) return grpc::InsecureServerCredentials();
  grpc::SslServerCredentialsOptions options(
      tls.authority.empty() ? GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE
                            : GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
  grpc::SslServerCredentialsOptions::PemKeyCertPair pair;
  ASSIGN_OR_RETURN(pair.private_key, ReadPem(tls.key, kKey));
  ASSIGN_OR_RETURN(pair.cert_chain, ReadPem(tls.certificate, kCertificate));
  ASSIGN_OR_RETURN(options.pem_root_certs, ReadPem(tls.authority, kCertificate));
  options.pem_key_cert_pairs.push_back(std::move(pair));
  return grpc::SslServerCredentials(options);
}

absl::StatusOr<std::shared_ptr<grpc::ChannelCredentials>> ChannelCredentials(const TlsFiles& tls) {
  if (tls.authority.empty()) return grpc::InsecureChannelCredentials();
  grpc::SslCredentialsOptions options;
  ASSIGN_OR_RETURN(options.pem_root_certs, ReadPem(tls.authority, kCertificate));
  ASSIGN_OR_RETURN(options.pem_private_key, ReadPem(tls.key, kKey));
  ASSIGN_OR_RETURN(options.pem_cert_chain, ReadPem(tls.certificate, kCertificate));
  return grpc::SslCredentials(options);
}

}  // namespace parity::serve
