// Decode and prefill rates of our CPU engine beside libllama's, in one process, turn by turn;
// medians of the rounds.
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "kernels/cpu/cpu_backend.h"
#include "proto/status/status_macros.h"
#include "tests/bench/benchmark.h"
#include "worker/engine/backend_engine.h"
#include "worker/engine/engine.h"
#include "worker/llama/llama_engine.h"
#include "worker/model/gguf_file.h"

namespace parity {
namespace {

using bench::Median;

struct Settings {
  std::string model;
  std::vector<int> threads = {1, 2};
  int rounds = 5;
  int prefill_tokens = 256;
  int decode_tokens = 64;
  int busy = 0;
};

struct Rates {
  double prefill;  // tokens a second
  double decode;
};

// Processes that each keep a core busy while it lives.
class BusyNeighbours {
 public:
  explicit BusyNeighbours(int count) {
    for (int i = 0; i < count; ++i) {
      const pid_t pid = fork();
      if (pid == 0) Spin();
      if (pid > 0) pids_.push_back(pid);
    }
  }
  ~BusyNeighbours() {
    for (const pid_t pid : pids_) kill(pid, SIGKILL);
    for (const pid_t pid : pids_) waitpid(pid, nullptr, 0);
  }

 private:
  [[noreturn]] static void Spin() {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (volatile uint64_t turns = 0;;) turns = turns + 1;
  }
  std::vector<pid_t> pids_;
};

double SecondsSince(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// One round: a fresh session, a prompt in steps of the engine's size, then greedy decoding.
absl::StatusOr<Rates> MeasureOnce(engine::Engine& engine, const Settings& settings) {
  const int capacity = settings.prefill_tokens + settings.decode_tokens;
  ASSIGN_OR_RETURN(const std::unique_ptr<engine::Session> session, engine.NewSession(capacity));
  std::vector<int32_t> prompt(settings.prefill_tokens);
  for (size_t i = 0; i < prompt.size(); ++i) prompt[i] = 100 + (i * 7919) % 10000;
  std::vector<float> logits(engine.info().vocabulary);
  engine::ForwardOptions options;

  options.prefill = true;
  auto start = std::chrono::steady_clock::now();
  for (size_t at = 0; at < prompt.size(); at += engine.max_step_tokens()) {
    const size_t count = std::min<size_t>(engine.max_step_tokens(), prompt.size() - at);
    options.logits =
        at + count == prompt.size() ? engine::LogitsWanted::kLast : engine::LogitsWanted::kNone;
    RETURN_IF_ERROR(session->Forward(absl::MakeConstSpan(prompt).subspan(at, count), options,
                                     nullptr, absl::MakeSpan(logits)));
  }
  const double prefill_seconds = SecondsSince(start);

  options.prefill = false;
  start = std::chrono::steady_clock::now();
  for (int i = 0; i < settings.decode_tokens; ++i) {
    const int32_t next = std::max_element(logits.begin(), logits.end()) - logits.begin();
    RETURN_IF_ERROR(session->Forward({next}, options, nullptr, absl::MakeSpan(logits)));
  }
  return Rates{settings.prefill_tokens / prefill_seconds,
               settings.decode_tokens / SecondsSince(start)};
}

absl::Status Compare(const Settings& settings, int threads) {
  ASSIGN_OR_RETURN(std::shared_ptr<const model::GgufFile> file,
                   model::GgufFile::Open(settings.model));
  kernels::CpuOptions cpu_options;
  cpu_options.threads = threads;
  ASSIGN_OR_RETURN(auto backend, kernels::CpuBackend::Create(cpu_options));
  ASSIGN_OR_RETURN(auto ours, engine::BackendEngine::Create(file, std::move(backend), {}));
  llama::LlamaOptions llama_options;
  llama_options.threads = threads;
  ASSIGN_OR_RETURN(auto theirs, llama::LlamaEngine::Create(settings.model, llama_options));

  std::vector<double> prefill[2], decode[2], prefill_ratio, decode_ratio;
  for (int round = -1; round < settings.rounds; ++round) {  // the first warms up
    Rates rates[2];
    for (int side = 0; side < 2; ++side) {
      ASSIGN_OR_RETURN(rates[side], MeasureOnce(side == 0 ? *ours : *theirs, settings));
    }
    if (round < 0) continue;
    for (int side = 0; side < 2; ++side) {
      prefill[side].push_back(rates[side].prefill);
      decode[side].push_back(rates[side].decode);
    }
    prefill_ratio.push_back(rates[0].prefill / rates[1].prefill);
    decode_ratio.push_back(rates[0].decode / rates[1].decode);
  }
  std::printf("| decode, %d thread(s) | %.1f | %.1f | %.2fx |\n", threads, Median(decode[0]),
              Median(decode[1]), Median(decode_ratio));
  std::printf("| prefill %d, %d thread(s) | %.1f | %.1f | %.2fx |\n", settings.prefill_tokens,
              threads, Median(prefill[0]), Median(prefill[1]), Median(prefill_ratio));
  std::fflush(stdout);
  return absl::OkStatus();
}

absl::Status Run(const Settings& settings) {
  const BusyNeighbours neighbours(settings.busy);  // before there are threads
  std::printf(
      "| tokens/s, median of %d alternating rounds | cpu | libllama | ratio |\n|---|---|---|---|\n",
      settings.rounds);
  for (const int threads : settings.threads) RETURN_IF_ERROR(Compare(settings, threads));
  return absl::OkStatus();
}

}  // namespace
}  // namespace parity

int main(int argc, char** argv) {
  parity::Settings settings;
  CLI::App app("Compares the CPU engine's token rates with libllama's on one model.");
  app.add_option("--model", settings.model, "GGUF file")->required();
  app.add_option("--threads", settings.threads, "Thread counts")->delimiter(',');
  app.add_option("--rounds", settings.rounds, "Rounds");
  app.add_option("--prefill", settings.prefill_tokens, "Tokens of the prompt");
  app.add_option("--decode", settings.decode_tokens, "Tokens to decode");
  app.add_option("--busy", settings.busy, "Processes that spin beside the engines");
  return parity::bench::RunProgram(app, argc, argv, [&] { return parity::Run(settings); });
}
