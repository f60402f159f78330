// Real handshakes between a server and channels, with certificates that openssl makes for each run.
#include <grpcpp/grpcpp.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "parity/v1/worker.grpc.pb.h"
#include "proto/serve/channel.h"
#include "proto/serve/server.h"

namespace parity::serve {
namespace {

using ::testing::HasSubstr;

class EchoWorker final : public v1::Worker::Service {
  grpc::Status Detokenize(grpc::ServerContext*, const v1::DetokenizeRequest*,
                          v1::DetokenizeResponse* response) override {
    response->set_text("heard");
    return grpc::Status::OK;
  }
};

// A folder of keys and certificates: authorities "ca" and "stranger-ca", what they signed
// ("server", "client" and "stranger"), and "elsewhere", a server's certificate for another host.
class TlsTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    std::string folder = std::filesystem::temp_directory_path() / "parity_tls.XXXXXX";
    ASSERT_NE(mkdtemp(folder.data()), nullptr);
    folder_ = folder;
    for (const char* name : {"ca", "stranger-ca"}) {
      ASSERT_TRUE(OpenSsl(absl::StrCat("req -x509 ", kNewKey, " -keyout ", Key(name), " -out ",
                                       Certificate(name), " -days 2 -subj /CN=", name)));
    }
    ASSERT_TRUE(Sign("server", "ca", "IP:127.0.0.1"));
    ASSERT_TRUE(Sign("client", "ca", "DNS:client"));
    ASSERT_TRUE(Sign("stranger", "stranger-ca", "IP:127.0.0.1"));
    ASSERT_TRUE(Sign("elsewhere", "ca", "DNS:elsewhere.example"));
    std::ofstream(absl::StrCat(folder_, "/garbage.pem")) << "no certificate\n";
  }
  static void TearDownTestSuite() { std::filesystem::remove_all(folder_); }

  static std::string Key(absl::string_view name) {
    return absl::StrCat(folder_, "/", name, ".key");
  }
  static std::string Certificate(absl::string_view name) {
    return absl::StrCat(folder_, "/", name, ".pem");
  }
  static TlsFiles Files(absl::string_view own, absl::string_view authority) {
    TlsFiles files;
    if (!own.empty()) {
      files.certificate = Certificate(own);
      files.key = Key(own);
    }
    if (!authority.empty()) files.authority = Certificate(authority);
    return files;
  }

  std::string Serve(const TlsFiles& files) {
    auto server = Server::Start({"127.0.0.1:0", files, false}, {&worker_});
    EXPECT_TRUE(server.ok()) << server.status();
    if (!server.ok()) return "";
    server_ = *std::move(server);
    return server_->address();
  }

  // A patient call connects again when a handshake was cut short, as on a busy machine it may be;
  // one that is to be refused must not.
  static grpc::Status Call(const std::string& address, const TlsFiles& files,
                           bool patient = false) {
    auto channel = OpenChannel(address, files);
    EXPECT_TRUE(channel.ok()) << channel.status();
    auto stub = v1::Worker::NewStub(*channel);
    grpc::ClientContext context;
    context.set_wait_for_ready(patient);
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
    v1::DetokenizeRequest request;
    v1::DetokenizeResponse response;
    grpc::Status status = stub->Detokenize(&context, request, &response);
    if (status.ok()) {
      EXPECT_EQ(response.text(), "heard");
    }
    return status;
  }

 private:
  static constexpr char kNewKey[] = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";

  static bool OpenSsl(const std::string& arguments) {
    return std::system(absl::StrCat("openssl ", arguments, " 2>/dev/null").c_str()) == 0;
  }
  static bool Sign(const std::string& name, const std::string& authority, const std::string& host) {
    const std::string request = absl::StrCat(folder_, "/", name, ".csr");
    const std::string extension = absl::StrCat(folder_, "/", name, ".ext");
    std::ofstream(extension) << "subjectAltName=" << host << "\n";
    return OpenSsl(absl::StrCat("req ", kNewKey, " -keyout ", Key(name), " -out ", request,
                                " -subj /CN=", name)) &&
           OpenSsl(absl::StrCat("x509 -req -in ", request, " -CA ", Certificate(authority),
                                " -CAkey ", Key(authority), " -CAcreateserial -days 2 -extfile ",
                                extension, " -out ", Certificate(name)));
  }

  static inline std::string folder_;
  EchoWorker worker_;
  std::unique_ptr<Server> server_;
};

TEST_F(TlsTest, AClientThatTrustsTheAuthorityIsServed) {
  const std::string address = Serve(Files("server", ""));
  const grpc::Status status = Call(address, Files("", "ca"), true);
  EXPECT_TRUE(status.ok()) << status.error_message();
}

TEST_F(TlsTest, AServerOfAnotherAuthorityOrForAnotherHostIsNotTrusted) {
  const std::string address = Serve(Files("server", ""));
  EXPECT_EQ(Call(address, Files("", "stranger-ca")).error_code(), grpc::StatusCode::UNAVAILABLE);
  const std::string other = Serve(Files("elsewhere", ""));
  EXPECT_EQ(Call(other, Files("", "ca")).error_code(), grpc::StatusCode::UNAVAILABLE);
}

TEST_F(TlsTest, PlainTextIsNotAnswered) {
  const std::string address = Serve(Files("server", ""));
  EXPECT_EQ(Call(address, {}).error_code(), grpc::StatusCode::UNAVAILABLE);
}

TEST_F(TlsTest, WithAnAuthorityTheServerAsksForCertificates) {
  const std::string address = Serve(Files("server", "ca"));
  const grpc::Status known = Call(address, Files("client", "ca"), true);
  EXPECT_TRUE(known.ok()) << known.error_message();
  EXPECT_EQ(Call(address, Files("", "ca")).error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(Call(address, Files("stranger", "ca")).error_code(), grpc::StatusCode::UNAVAILABLE);
}

TEST_F(TlsTest, FilesThatAreAbsentOrNoCertificatesAreNamed) {
  EchoWorker worker;
  const auto start = [&](const TlsFiles& files) {
    return Server::Start({"127.0.0.1:0", files, false}, {&worker}).status();
  };
  const absl::Status absent = start(Files("nobody", ""));
  EXPECT_EQ(absent.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(absent.message()), HasSubstr(Key("nobody")));
  TlsFiles garbage = Files("server", "");
  garbage.certificate = Certificate("garbage");
  const absl::Status no_certificate = start(garbage);
  EXPECT_EQ(no_certificate.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(no_certificate.message()), HasSubstr(Certificate("garbage")));
  TlsFiles misfit = Files("server", "");
  misfit.key = Key("client");
  EXPECT_THAT(std::string(start(misfit).message()), HasSubstr("does not fit the key"));
}

}  // namespace
}  // namespace parity::serve
