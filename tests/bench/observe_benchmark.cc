// What a capture costs the engine's own thread: steps with and without an observer in turn, in one
// process in which nobody sends anything.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <deque>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "kernels/cpu/cpu_backend.h"
#include "proto/status/status_macros.h"
#include "proto/text/capture_choice.h"
#include "tests/bench/benchmark.h"
#include "worker/capture/block_pool.h"
#include "worker/capture/capture_observer.h"
#include "worker/capture/capture_spec.h"
#include "worker/capture/frame_sink.h"
#include "worker/engine/backend_engine.h"
#include "worker/engine/engine.h"
#include "worker/model/gguf_file.h"

namespace parity {
namespace {

struct Settings {
  std::string model;
  std::vector<int> threads = {1, 2};
  std::vector<std::string> levels = {"full", "layers", "logits"};
  int rounds = 200;
  int prompt_tokens = 32;
  int64_t kept_bytes = 128 << 20;
};

using bench::Median;
using Clock = std::chrono::steady_clock;

// Keeps the last frames, as a queue does that is held back.
class KeepingSink final : public capture::FrameSink {
 public:
  explicit KeepingSink(int64_t bytes) : bytes_(bytes), blocks_(capture::BlockPool::Create(bytes)) {
    blocks_->Prepare(bytes);
  }
  absl::Status WaitForRoom(int64_t, const std::atomic<bool>&) override { return absl::OkStatus(); }
  int64_t capacity_bytes() const override { return bytes_; }
  void Push(capture::WireFramePtr frame) override {
    kept_bytes_ += frame->bytes();
    kept_.push_back(std::move(frame));
    while (kept_bytes_ > bytes_ - 2 * capture::BlockPool::kBlockBytes) {
      kept_bytes_ -= kept_.front()->bytes();
      kept_.pop_front();
    }
  }
  std::shared_ptr<capture::BlockPool> blocks() const override { return blocks_; }
  capture::CaptureResult Finish(absl::string_view) override { return {}; }

 private:
  const int64_t bytes_;
  const std::shared_ptr<capture::BlockPool> blocks_;
  std::deque<capture::WireFramePtr> kept_;
  int64_t kept_bytes_ = 0;
};

// Milliseconds of one decode step.
absl::StatusOr<double> Step(engine::Session& session, engine::Observer* observer,
                            std::vector<float>& logits) {
  const int32_t next = std::max_element(logits.begin(), logits.end()) - logits.begin();
  const auto start = Clock::now();
  RETURN_IF_ERROR(session.Forward({next}, {}, observer, absl::MakeSpan(logits)));
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

absl::Status Measure(const std::shared_ptr<const model::GgufFile>& file, const Settings& settings,
                     int threads) {
  kernels::CpuOptions options;
  options.threads = threads;
  ASSIGN_OR_RETURN(auto backend, kernels::CpuBackend::Create(options));
  ASSIGN_OR_RETURN(auto engine, engine::BackendEngine::Create(file, std::move(backend), {}));
  KeepingSink sink(settings.kept_bytes);
  std::vector<std::unique_ptr<capture::Recorder>> observers;
  for (const std::string& level : settings.levels) {
    ASSIGN_OR_RETURN(
        capture::Selection selection,
        capture::Selection::Select(text::ParseCaptureChoice(level), engine->info().checkpoints));
    observers.push_back(std::make_unique<capture::CaptureObserver>(
        std::move(selection), std::vector<capture::FrameSink*>{&sink}));
  }
  const size_t kinds = 1 + observers.size();  // the first is without
  std::vector<int32_t> prompt(settings.prompt_tokens);
  for (size_t i = 0; i < prompt.size(); ++i) prompt[i] = 100 + i * 37;
  std::vector<float> logits(engine->info().vocabulary);
  ASSIGN_OR_RETURN(auto session, engine->NewSession(settings.prompt_tokens +
                                                    settings.rounds * static_cast<int>(kinds)));
  RETURN_IF_ERROR(session->Forward(prompt, {.prefill = true}, nullptr, absl::MakeSpan(logits)));
  std::vector<std::vector<double>> millis(kinds), ratios(kinds);
  for (int round = 0; round < settings.rounds; ++round) {
    std::vector<double> took(kinds);
    for (size_t i = 0; i < kinds; ++i) {
      const size_t kind = (i + round) % kinds;  // each is first as often as any other
      engine::Observer* const observer = kind == 0 ? nullptr : observers[kind - 1].get();
      ASSIGN_OR_RETURN(took[kind], Step(*session, observer, logits));
    }
    for (size_t kind = 0; kind < kinds; ++kind) {
      millis[kind].push_back(took[kind]);
      ratios[kind].push_back(took[0] / took[kind]);
    }
  }
  for (size_t kind = 0; kind < kinds; ++kind) {
    std::printf("| %d | %s | %.3f | %.3f |\n", threads,
                kind == 0 ? "none" : settings.levels[kind - 1].c_str(), Median(millis[kind]),
                Median(ratios[kind]));
  }
  std::fflush(stdout);
  return absl::OkStatus();
}

absl::Status Run(const Settings& settings) {
  ASSIGN_OR_RETURN(std::shared_ptr<const model::GgufFile> file,
                   model::GgufFile::Open(settings.model));
  std::printf(
      "| threads | captured | ms a step, median of %d | rate beside none, median of the rounds |\n"
      "|---|---|---|---|\n",
      settings.rounds);
  for (const int threads : settings.threads) {
    RETURN_IF_ERROR(Measure(file, settings, threads));
  }
  return absl::OkStatus();
}

}  // namespace
}  // namespace parity

int main(int argc, char** argv) {
  parity::Settings settings;
  CLI::App app("Measures what observing costs the engine's own thread, token by token in turn.");
  app.add_option("--model", settings.model, "GGUF file")->required();
  app.add_option("--threads", settings.threads, "Thread counts")->delimiter(',');
  app.add_option("--levels", settings.levels, "Capture levels")->delimiter(',');
  app.add_option("--rounds", settings.rounds, "Steps of each kind");
  app.add_option("--prompt", settings.prompt_tokens, "Tokens of the prompt");
  app.add_option("--kept-bytes", settings.kept_bytes, "Bytes of frames that are kept");
  return parity::bench::RunProgram(app, argc, argv, [&] { return parity::Run(settings); });
}
