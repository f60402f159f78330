// Command-line flags that both services' commands share.
#ifndef PARITY_PROTO_SERVE_FLAGS_H_
#define PARITY_PROTO_SERVE_FLAGS_H_

#include <CLI/CLI.hpp>

#include "proto/serve/server.h"

namespace parity::serve {

// Adds --listen, --tls-cert, --tls-key, --tls-ca and --insecure. options.address holds the default.
inline void AddServerFlags(CLI::App& app, ServerOptions& options) {
  app.add_option("--listen", options.address,
                 "Where to listen: host:port (port 0: any free one) or unix:/path")
      ->capture_default_str();
  app.add_option("--tls-cert", options.tls.certificate, "PEM certificate chain of this server");
  app.add_option("--tls-key", options.tls.key, "PEM private key of this server");
  app.add_option("--tls-ca", options.tls.authority,
                 "PEM authority; clients must then show a certificate signed by it");
  app.add_flag("--insecure", options.insecure,
               "Listen where other machines can reach it, without TLS");
}

}  // namespace parity::serve

#endif  // PARITY_PROTO_SERVE_FLAGS_H_
