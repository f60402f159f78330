// Decode rates of several sequences together beside one alone, on our CPU engine, turn by turn;
// medians of the rounds.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <barrier>
#include <chrono>
#include <cstdio>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "kernels/cpu/cpu_backend.h"
#include "proto/status/status_macros.h"
#include "tests/bench/benchmark.h"
#include "worker/engine/backend_engine.h"
#include "worker/engine/engine.h"
#include "worker/model/gguf_file.h"

namespace parity {
namespace {

struct Settings {
  std::string model;
  std::vector<int> threads = {1, 2};
  std::vector<int> sequences = {1, 2, 4, 8};
  int rounds = 5;
  int prompt_tokens = 32;
  int decode_tokens = 48;
};

using bench::Median;
using Clock = std::chrono::steady_clock;

// One sequence: its own prompt, then greedy decoding as Generate does it, which starts when
// everybody has fed his prompt.
absl::Status Decode(engine::Engine& engine, const Settings& settings, int index,
                    std::barrier<>& prompts_fed, Clock::time_point& start) {
  const int capacity = settings.prompt_tokens + settings.decode_tokens;
  std::vector<int32_t> prompt(settings.prompt_tokens);
  for (size_t i = 0; i < prompt.size(); ++i) prompt[i] = 100 + (index * 31 + i * 7919) % 10000;
  engine::TopLogits top;
  auto session = engine.NewSession(capacity);
  const absl::Status fed =
      session.ok() ? (*session)->ForwardTop(prompt, {.prefill = true}, nullptr, {}, 1, top)
                   : session.status();
  prompts_fed.arrive_and_wait();
  RETURN_IF_ERROR(fed);
  start = Clock::now();
  for (int i = 0; i < settings.decode_tokens; ++i) {
    if (top.values.empty()) return absl::InternalError("no logit is a number");
    RETURN_IF_ERROR((*session)->ForwardTop({top.values[0].id}, {}, nullptr, {}, 1, top));
  }
  return absl::OkStatus();
}

// Tokens a second of `count` sequences together.
absl::StatusOr<double> MeasureOnce(engine::Engine& engine, const Settings& settings, int count) {
  std::vector<absl::Status> results(count);
  std::vector<Clock::time_point> starts(count);
  std::barrier<> prompts_fed(count);
  std::vector<std::thread> threads;
  for (int i = 0; i < count; ++i) {
    threads.emplace_back(
        [&, i] { results[i] = Decode(engine, settings, i, prompts_fed, starts[i]); });
  }
  for (std::thread& thread : threads) thread.join();
  const Clock::time_point end = Clock::now();
  for (const absl::Status& result : results) RETURN_IF_ERROR(result);
  const auto start = *std::min_element(starts.begin(), starts.end());
  return count * settings.decode_tokens / std::chrono::duration<double>(end - start).count();
}

absl::Status Measure(const std::shared_ptr<const model::GgufFile>& file, const Settings& settings,
                     int threads) {
  kernels::CpuOptions options;
  options.threads = threads;
  ASSIGN_OR_RETURN(auto backend, kernels::CpuBackend::Create(options));
  int64_t steps = 0;
  int64_t together = 0;  // sequences in them
  engine::EngineOptions engine_options;
  engine_options.on_step = [&](const engine::StepLoad& step) {
    ++steps;
    together += step.sequences;
  };
  ASSIGN_OR_RETURN(auto engine,
                   engine::BackendEngine::Create(file, std::move(backend), engine_options));
  std::vector<std::vector<double>> rates(settings.sequences.size());
  std::vector<std::vector<double>> ratios(settings.sequences.size());
  std::vector<double> company(settings.sequences.size());
  for (int round = -1; round < settings.rounds; ++round) {  // the first warms up
    double alone = 0;
    for (size_t i = 0; i < settings.sequences.size(); ++i) {
      steps = together = 0;
      ASSIGN_OR_RETURN(const double rate, MeasureOnce(*engine, settings, settings.sequences[i]));
      if (i == 0) alone = rate;
      if (round < 0) continue;
      rates[i].push_back(rate);
      ratios[i].push_back(rate / alone);
      company[i] = static_cast<double>(together) / static_cast<double>(steps);
    }
  }
  for (size_t i = 0; i < settings.sequences.size(); ++i) {
    std::printf("| %d | %d | %.1f | %.2fx | %.1f |\n", threads, settings.sequences[i],
                Median(rates[i]), Median(ratios[i]), company[i]);
  }
  std::fflush(stdout);
  return absl::OkStatus();
}

absl::Status Run(const Settings& settings) {
  ASSIGN_OR_RETURN(std::shared_ptr<const model::GgufFile> file,
                   model::GgufFile::Open(settings.model));
  std::printf(
      "| threads | sequences | tokens/s, median of %d rounds | beside the first row | sequences a "
      "step |\n|---|---|---|---|---|\n",
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
  CLI::App app("Measures the CPU engine's decode rate with several sequences at a time.");
  app.add_option("--model", settings.model, "GGUF file")->required();
  app.add_option("--threads", settings.threads, "Thread counts")->delimiter(',');
  app.add_option("--sequences", settings.sequences, "Sequences at a time, the first for the ratio")
      ->delimiter(',');
  app.add_option("--rounds", settings.rounds, "Rounds");
  app.add_option("--prompt", settings.prompt_tokens, "Tokens of each prompt");
  app.add_option("--decode", settings.decode_tokens, "Tokens to decode, each");
  return parity::bench::RunProgram(app, argc, argv, [&] { return parity::Run(settings); });
}
