#include "proto/serve/server.h"

#include <grpc/support/log.h>
#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/health_check_service_interface.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "proto/serve/tls.h"
#include "proto/status/status_macros.h"

namespace parity::serve {
namespace {

// Half a MiB of tensors comes in pieces of this size instead of gRPC's 16 KiB and 8 KiB, each of
// which is an allocation and a system call.
constexpr int kHttp2FrameBytes = 256 << 10;

// gRPC unlinks an existing socket file before it binds, which would silently take over a running
// service's address.
bool SocketAnswers(const std::string& path) {
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return false;
  sockaddr_un name = {};
  name.sun_family = AF_UNIX;
  std::memcpy(name.sun_path, path.c_str(), path.size());
  const bool answers = connect(fd, reinterpret_cast<sockaddr*>(&name), sizeof(name)) == 0;
  close(fd);
  return answers;
}

void EnablePlugins() {
  static const bool enabled = [] {
    grpc::EnableDefaultHealthCheckService(true);
    grpc::reflection::InitProtoReflectionServerBuilderPlugin();
    return true;
  }();
  static_cast<void>(enabled);
}

// While it lives gRPC logs nothing: what fails is told once, in the status.
class Silence {
 public:
  Silence() {
    gpr_set_log_function([](gpr_log_func_args*) {});
  }
  ~Silence() { gpr_set_log_function(nullptr); }  // its own again
};

}  // namespace

absl::StatusOr<std::unique_ptr<Server>> Server::Start(const ServerOptions& options,
                                                      const std::vector<grpc::Service*>& services) {
  ASSIGN_OR_RETURN(Address address, ParseAddress(options.address));
  RETURN_IF_ERROR(MayListen(address, options.tls, options.insecure));
  ASSIGN_OR_RETURN(auto credentials, ServerCredentials(options.tls));
  if (!address.socket_path.empty() && SocketAnswers(address.socket_path)) {
    return absl::UnavailableError(
        absl::StrCat("cannot listen on ", ToString(address), ": another process serves there"));
  }
  EnablePlugins();
  grpc::ServerBuilder builder;
  builder.SetMaxReceiveMessageSize(options.max_message_bytes);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MAX_FRAME_SIZE, kHttp2FrameBytes);
  builder.AddChannelArgument(GRPC_ARG_TCP_READ_CHUNK_SIZE, kHttp2FrameBytes);
  // Two processes on one port would each get some of the calls.
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  int bound_port = 0;
  builder.AddListeningPort(ToString(address), std::move(credentials), &bound_port);
  for (grpc::Service* service : services) builder.RegisterService(service);
  auto server = std::unique_ptr<Server>(new Server());
  {
    const Silence silence;
    server->server_ = builder.BuildAndStart();
  }
  if (server->server_ == nullptr || bound_port == 0) {
    // gRPC does not tell which.
    return absl::UnavailableError(absl::StrCat(
        "cannot listen on ", ToString(address), ": the address is taken or not this machine's",
        options.tls.certificate.empty() ? "" : ", or the certificate does not fit the key"));
  }
  if (address.socket_path.empty()) address.port = static_cast<uint16_t>(bound_port);
  server->address_ = ToString(address);
  server->SetServing(true);
  return server;
}

Server::~Server() {
  if (server_ != nullptr) Shutdown(absl::ZeroDuration());
}

void Server::SetServing(bool serving) {
  server_->GetHealthCheckService()->SetServingStatus(serving);
}

void Server::Shutdown(absl::Duration grace) {
  SetServing(false);
  server_->Shutdown(absl::ToChronoTime(absl::Now() + grace));
}

}  // namespace parity::serve
