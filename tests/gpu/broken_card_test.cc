// A card that fails while it serves (planted under the emulation): all streams end with its error
// and the kernels' names, health checks hear NOT_SERVING, the process ends with its own exit code.
#include <gmock/gmock.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "kernels/dtype.h"
#include "parity/v1/worker.grpc.pb.h"
#include "proto/serve/channel.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/tiny_model.h"

namespace parity::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr char kWorker[] = "tests/gpu/emulated_worker";
constexpr int kExitDevice = 6;  // worker/exit_code.h
constexpr auto kPatience = std::chrono::seconds(120);

// `parity-worker serve` in a process of its own.
class ServingWorker {
 public:
  ServingWorker(const std::string& folder, int64_t fault_after) : folder_(folder) {
    TinyModelOptions options = {.vocabulary = 321, .context_tokens = 2000};
    options.matrices = options.embedding = kernels::DType::kQ8_0;
    EXPECT_OK(WriteTinyModel(options, folder + "/m.gguf"));
    pid_ = fork();
    if (pid_ != 0) return;
    setenv("PARITY_EMULATED_FAULT_AFTER", absl::StrCat(fault_after).c_str(), 1);
    if (freopen((folder + "/log").c_str(), "w", stderr) == nullptr) _exit(127);
    const std::string model = folder + "/m.gguf", address = Address();
    execl(kWorker, "parity-worker", "serve", "--engine", "cuda", "--model", model.c_str(),
          "--listen", address.c_str(), nullptr);
    _exit(127);
  }
  ~ServingWorker() {
    if (pid_ > 0) {
      kill(pid_, SIGKILL);
      waitpid(pid_, nullptr, 0);
    }
  }

  std::string Address() const { return absl::StrCat("unix:", folder_, "/w.sock"); }

  int ExitCode() {
    int status = 0;
    waitpid(pid_, &status, 0);
    pid_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  }

  std::string Log() const {
    std::string text;
    FILE* const file = fopen((folder_ + "/log").c_str(), "r");
    for (int c; file != nullptr && (c = fgetc(file)) != EOF;) text.push_back(static_cast<char>(c));
    if (file != nullptr) fclose(file);
    return text;
  }

 private:
  const std::string folder_;
  pid_t pid_;
};

// What grpc.health.v1's Watch tells until the server is gone: 1 SERVING, 2 NOT_SERVING.
std::vector<int> WatchHealth(std::shared_ptr<grpc::Channel> channel) {
  grpc::GenericStub stub(std::move(channel));
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + kPatience);
  grpc::CompletionQueue queue;
  auto call = stub.PrepareCall(&context, "/grpc.health.v1.Health/Watch", &queue);
  void* tag = nullptr;
  bool ok = false;
  const auto done = [&] { return queue.Next(&tag, &ok) && ok; };
  std::vector<int> told;
  call->StartCall(nullptr);
  if (!done()) return told;
  const grpc::Slice empty("");
  call->WriteLast(grpc::ByteBuffer(&empty, 1), {}, nullptr);
  if (!done()) return told;
  while (true) {
    grpc::ByteBuffer message;
    call->Read(&message, nullptr);
    if (!done()) return told;
    std::vector<grpc::Slice> slices;
    if (!message.Dump(&slices).ok() || slices.empty()) return told;
    const std::string bytes(slices[0].begin(), slices[0].end());
    told.push_back(bytes.size() == 2 && bytes[0] == 8 ? bytes[1] : 0);
  }
}

// How a long generation ended.
struct Ending {
  grpc::Status status;
  v1::GenerateEvent::Finished finished;
  int tokens = 0;
};

Ending GenerateLong(std::shared_ptr<grpc::Channel> channel, int first_id) {
  auto stub = v1::Worker::NewStub(std::move(channel));
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + kPatience);
  v1::GenerateRequest request;
  request.add_token_ids(first_id);
  request.set_max_tokens(1500);
  request.set_ignore_eos(true);
  auto stream = stub->Generate(&context, request);
  Ending ending;
  v1::GenerateEvent event;
  while (stream->Read(&event)) {
    ending.tokens += event.has_token();
    if (event.has_finished()) ending.finished = event.finished();
  }
  ending.status = stream->Finish();
  return ending;
}

TEST(BrokenCardTest, EveryStreamHearsOfItAndTheProcessEnds) {
  std::string folder = "/tmp/parity-broken-XXXXXX";  // a socket's path is short
  ASSERT_NE(mkdtemp(folder.data()), nullptr);
  ServingWorker worker(folder, /*fault_after=*/6000);  // some 60 a step
  ASSERT_OK_AND_ASSIGN(const auto channel, serve::OpenChannel(worker.Address(), {}));
  ASSERT_TRUE(channel->WaitForConnected(std::chrono::system_clock::now() + kPatience));

  std::vector<int> health;
  std::thread watcher([&] { health = WatchHealth(channel); });
  Ending endings[3];
  std::vector<std::thread> callers;
  for (int i = 0; i < 3; ++i) {
    callers.emplace_back([&, i] { endings[i] = GenerateLong(channel, 5 + i); });
  }
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(worker.ExitCode(), kExitDevice) << worker.Log();
  watcher.join();

  for (const Ending& ending : endings) {
    EXPECT_TRUE(ending.status.ok()) << ending.status.error_message();
    EXPECT_GT(ending.tokens, 0);
    EXPECT_EQ(ending.finished.reason(), v1::FINISH_REASON_ERROR);
    EXPECT_THAT(ending.finished.message(),
                AllOf(HasSubstr("a planted fault"),
                      HasSubstr("kernels since the last wait: EmbedRows to TopK")));
  }
  ASSERT_FALSE(health.empty());
  EXPECT_EQ(health.front(), 1);
  EXPECT_EQ(health.back(), 2);
  EXPECT_THAT(worker.Log(), HasSubstr("parity-worker serve: emulation: a planted fault"));
  EXPECT_THAT(worker.Log(), HasSubstr("bytes of device memory needed (weights "));
  EXPECT_EQ(system(absl::StrCat("rm -r ", folder).c_str()), 0);
}

}  // namespace
}  // namespace parity::testing
