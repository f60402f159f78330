// Decode and prefill rates of our CPU engine beside libllama's, in one process, turn by turn;
// medians of the rounds; and both beside what bounds them, the most of what is measured before each
// round.
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
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/types/span.h"
#include "kernels/cpu/cpu_backend.h"
#include "kernels/cpu/peak_rates.h"
#include "proto/status/status_macros.h"
#include "tests/bench/benchmark.h"
#include "worker/engine/backend_engine.h"
#include "worker/engine/engine.h"
#include "worker/llama/llama_engine.h"
#include "worker/model/gguf_file.h"
#include "worker/model/inspect.h"

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

// What the machine gives at most, of what was seen: its neighbours take their part.
class Peaks {
 public:
  explicit Peaks(int threads) : threads_(threads) {}
  void Measure() {
    constexpr int64_t kBytes = 64 << 20;  // no cache holds them
    bytes_ = std::max(bytes_, kernels::ReadBytesPerSecond(kBytes, threads_));
    products_ = std::max(products_, kernels::ByteProductsPerSecond(threads_));
  }
  double bytes() const { return bytes_; }        // a second, from memory
  double products() const { return products_; }  // of bytes a second; 0: not known

 private:
  const int threads_;
  double bytes_ = 0;
  double products_ = 0;
};

// Products of a token of a prompt: of all matrices but the head, which only the last one needs.
double ProductsPerToken(const model::GgufFile& file) {
  double products = 0;
  for (const model::TensorInfo& tensor : file.tensors()) {
    if (absl::StartsWith(tensor.name, "blk.") && tensor.n_dims == 2) {
      products += static_cast<double>(tensor.ne[0]) * static_cast<double>(tensor.ne[1]);
    }
  }
  return products;
}

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

// Rates of all rounds.
class Series {
 public:
  void Add(double cpu, double llama) {
    cpu_.push_back(cpu);
    llama_.push_back(llama);
    ratio_.push_back(cpu / llama);
  }
  // A row of the table. `bound`: 0 where it is not known.
  std::string Row(const std::string& what, double bound) const {
    const double cpu = Median(cpu_), llama = Median(llama_);
    std::string row =
        absl::StrFormat("| %s | %.1f | %.1f | %.2fx |", what, cpu, llama, Median(ratio_));
    if (bound == 0) return row + " | |";
    return row + absl::StrFormat(" %.0f%% | %.0f%% |", 100 * cpu / bound, 100 * llama / bound);
  }

 private:
  std::vector<double> cpu_, llama_, ratio_;
};

absl::Status Compare(const Settings& settings, int threads, std::vector<std::string>& rows) {
  ASSIGN_OR_RETURN(std::shared_ptr<const model::GgufFile> file,
                   model::GgufFile::Open(settings.model));
  kernels::CpuOptions cpu_options;
  cpu_options.threads = threads;
  ASSIGN_OR_RETURN(auto backend, kernels::CpuBackend::Create(cpu_options));
  ASSIGN_OR_RETURN(auto cpu, engine::BackendEngine::Create(file, std::move(backend), {}));
  llama::LlamaOptions llama_options;
  llama_options.threads = threads;
  ASSIGN_OR_RETURN(auto llama, llama::LlamaEngine::Create(settings.model, llama_options));

  Series decode, prefill;
  Peaks peaks(threads);
  for (int round = -1; round < settings.rounds; ++round) {  // the first warms up
    peaks.Measure();
    ASSIGN_OR_RETURN(const Rates ours, MeasureOnce(*cpu, settings));
    ASSIGN_OR_RETURN(const Rates theirs, MeasureOnce(*llama, settings));
    if (round < 0) continue;
    decode.Add(ours.decode, theirs.decode);
    prefill.Add(ours.prefill, theirs.prefill);
  }
  const auto token_bytes = static_cast<double>(model::BytesPerToken(*file));
  const double token_products = ProductsPerToken(*file);
  std::printf(
      "%d thread(s): %.1f GB/s read, %.0f MB a token; %.0f G byte products/s, %.0f M a token\n",
      threads, peaks.bytes() * 1e-9, token_bytes * 1e-6, peaks.products() * 1e-9,
      token_products * 1e-6);
  std::fflush(stdout);
  const std::string with = absl::StrCat(", ", threads, " thread(s)");
  rows.push_back(decode.Row("decode" + with, peaks.bytes() / token_bytes));
  rows.push_back(prefill.Row(absl::StrCat("prefill ", settings.prefill_tokens, with),
                             peaks.products() / token_products));
  return absl::OkStatus();
}

absl::Status Run(const Settings& settings) {
  const BusyNeighbours neighbours(settings.busy);  // before there are threads
  std::vector<std::string> rows;
  for (const int threads : settings.threads) RETURN_IF_ERROR(Compare(settings, threads, rows));
  std::printf(
      "\n| tokens/s, median of %d alternating rounds | cpu | libllama | ratio | cpu, of bound | "
      "libllama, of bound |\n|---|---|---|---|---|---|\n%s\n",
      settings.rounds, absl::StrJoin(rows, "\n").c_str());
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
