#include "proto/serve/channel.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/support/channel_arguments.h>

#include "proto/serve/server.h"
#include "proto/serve/tls.h"
#include "proto/status/status_macros.h"

#if defined(__SANITIZE_ADDRESS__)
// gRPC 1.51 keeps one copy of each host name that c-ares looks up for it.
extern "C" const char* __lsan_default_suppressions() { return "leak:ares_strdup\n"; }
#endif

namespace parity::serve {

absl::StatusOr<std::shared_ptr<grpc::Channel>> OpenChannel(absl::string_view address,
                                                           const TlsFiles& tls) {
  ASSIGN_OR_RETURN(Address parsed, ParseAddress(address));
  ASSIGN_OR_RETURN(auto credentials, ChannelCredentials(tls));
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kMaxMessageBytes);
  // gRPC's own back-off grows to two minutes, far beyond what a capture waits for a restarted
  // collector.
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1000);
  // A channel of one's own: a shared connection would also share another channel's back-off.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  return grpc::CreateCustomChannel(ToString(parsed), std::move(credentials), arguments);
}

}  // namespace parity::serve
