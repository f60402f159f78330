#include "proto/serve/server.h"

#include <grpcpp/generic/generic_stub.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "parity/v1/worker.grpc.pb.h"
#include "proto/serve/channel.h"

namespace parity::serve {
namespace {

class EchoWorker final : public v1::Worker::Service {
  grpc::Status Detokenize(grpc::ServerContext*, const v1::DetokenizeRequest* request,
                          v1::DetokenizeResponse* response) override {
    response->set_text(std::string(request->ids_size(), 'x'));
    return grpc::Status::OK;
  }
};

grpc::Status Call(const std::string& address, int ids = 3) {
  auto channel = OpenChannel(address, {});
  EXPECT_TRUE(channel.ok()) << channel.status();
  auto stub = v1::Worker::NewStub(*channel);
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
  v1::DetokenizeRequest request;
  v1::DetokenizeResponse response;
  for (int i = 0; i < ids; ++i) request.add_ids(1 << 30);  // five bytes each on the wire
  grpc::Status status = stub->Detokenize(&context, request, &response);
  if (status.ok()) {
    EXPECT_EQ(response.text().size(), ids);
  }
  return status;
}

// Sends one hand-made message and returns the bytes of the answer, or of the error's number.
std::string Ask(const std::string& address, const std::string& method, const std::string& message) {
  auto channel = OpenChannel(address, {});
  grpc::GenericStub stub(*channel);
  grpc::ClientContext context;
  grpc::CompletionQueue queue;
  const grpc::Slice slice(message);
  grpc::ByteBuffer request(&slice, 1), response;
  auto call = stub.PrepareUnaryCall(&context, method, request, &queue);
  call->StartCall();
  grpc::Status status;
  call->Finish(&response, &status, nullptr);
  void* tag;
  bool ok;
  queue.Next(&tag, &ok);
  if (!status.ok()) return absl::StrCat("error ", static_cast<int>(status.error_code()));
  std::vector<grpc::Slice> slices;
  response.Dump(&slices);
  std::string bytes;
  for (const auto& piece : slices) bytes.append(piece.begin(), piece.end());
  return bytes;
}

// HealthCheckResponse is {1: status}, SERVING 1, NOT_SERVING 2.
int Health(const std::string& address) {
  const std::string bytes = Ask(address, "/grpc.health.v1.Health/Check", "");
  return bytes.size() == 2 && bytes[0] == 8 ? bytes[1] : 0;
}

TEST(ServerTest, PortZeroServesAndNamesTheBoundPort) {
  EchoWorker worker;
  auto server = Server::Start({"127.0.0.1:0", {}, false}, {&worker});
  ASSERT_TRUE(server.ok()) << server.status();
  EXPECT_TRUE(absl::StartsWith((*server)->address(), "127.0.0.1:"));
  EXPECT_FALSE(absl::EndsWith((*server)->address(), ":0"));
  EXPECT_TRUE(Call((*server)->address()).ok());
}

TEST(ServerTest, HealthFollowsSetServing) {
  EchoWorker worker;
  auto server = Server::Start({"127.0.0.1:0", {}, false}, {&worker});
  ASSERT_TRUE(server.ok());
  EXPECT_EQ(Health((*server)->address()), 1);
  (*server)->SetServing(false);
  EXPECT_EQ(Health((*server)->address()), 2);
}

// A program that is linked with archives has only what something refers to.
TEST(ServerTest, ReflectionNamesTheServices) {
  EchoWorker worker;
  auto server = Server::Start({"127.0.0.1:0", {}, false}, {&worker});
  ASSERT_TRUE(server.ok());
  // ServerReflectionRequest {7: list_services ""}; the answer holds the names as text.
  const std::string services =
      Ask((*server)->address(), "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
          std::string("\x3a\x00", 2));
  EXPECT_TRUE(absl::StrContains(services, "parity.v1.Worker")) << services;
  EXPECT_TRUE(absl::StrContains(services, "grpc.health.v1.Health")) << services;
}

TEST(ServerTest, ATakenPortIsRefused) {
  EchoWorker worker;
  auto first = Server::Start({"127.0.0.1:0", {}, false}, {&worker});
  ASSERT_TRUE(first.ok());
  EchoWorker other;
  auto second = Server::Start({(*first)->address(), {}, false}, {&other});
  EXPECT_EQ(second.status().code(), absl::StatusCode::kUnavailable);
}

TEST(ServerTest, AUnixSocketInUseIsRefusedAndAStaleOneIsNot) {
  // Bazel's own temporary folder is longer than a socket's path may be.
  char folder[] = "/tmp/parity-serve-XXXXXX";
  ASSERT_NE(mkdtemp(folder), nullptr);
  const std::string address = absl::StrCat("unix:", folder, "/serve.sock");
  EchoWorker worker;
  auto first = Server::Start({address, {}, false}, {&worker});
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_TRUE(Call(address).ok());
  EchoWorker other;
  EXPECT_EQ(Server::Start({address, {}, false}, {&other}).status().code(),
            absl::StatusCode::kUnavailable);
  EXPECT_TRUE(Call(address).ok());
  first->reset();
  auto again = Server::Start({address, {}, false}, {&other});
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_TRUE(Call(address).ok());
  again->reset();
  unlink(address.c_str() + 5);
  rmdir(folder);
}

TEST(ServerTest, BeyondThisMachineIsRefused) {
  EchoWorker worker;
  EXPECT_EQ(Server::Start({"0.0.0.0:0", {}, false}, {&worker}).status().code(),
            absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(Server::Start({"127.0.0.1:0", {"missing.pem", "missing.key", ""}, false}, {&worker})
                .status()
                .code(),
            absl::StatusCode::kNotFound);
}

TEST(ServerTest, AnOversizedMessageIsRefused) {
  EchoWorker worker;
  auto server = Server::Start({"127.0.0.1:0", {}, false, 1 << 20}, {&worker});
  ASSERT_TRUE(server.ok());
  EXPECT_EQ(Call((*server)->address(), (1 << 20) / 5 + 100).error_code(),
            grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_TRUE(Call((*server)->address(), 1000).ok());
}

TEST(ServerTest, AfterShutdownNobodyAnswers) {
  EchoWorker worker;
  auto server = Server::Start({"127.0.0.1:0", {}, false}, {&worker});
  ASSERT_TRUE(server.ok());
  (*server)->Shutdown(absl::Seconds(1));
  EXPECT_EQ(Call((*server)->address()).error_code(), grpc::StatusCode::UNAVAILABLE);
}

}  // namespace
}  // namespace parity::serve
