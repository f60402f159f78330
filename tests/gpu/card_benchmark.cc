// Speed of the cuda engine on a card, beside llama.cpp's CUDA build on the same file and card where
// one is named, and beside the card's own copy bandwidth; medians of the rounds. A figure that was
// not measured stands there as such, with the command that measures it.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <barrier>
#include <chrono>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/types/span.h"
#include "proto/status/status_macros.h"
#include "tests/bench/benchmark.h"
#include "tests/bench/program_output.h"
#include "tests/gpu/captured_decode.h"
#include "tests/gpu/card.h"
#include "worker/engine/backend_engine.h"
#include "worker/engine/engine.h"
#include "worker/model/gguf_file.h"
#include "worker/model/inspect.h"
#include "worker/model/model_config.h"

namespace parity::testing {
namespace {

struct Settings {
  std::vector<std::string> models;
  std::string llama_bench;
  std::string collector;  // address
  int rounds = 5;
  int prefill_tokens = 512;
  int first_tokens = 32;
  int decode_tokens = 128;
};

using bench::Median;
using Clock = std::chrono::steady_clock;
using engine::Engine;
using engine::Observer;

double SecondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// Wants what a capture level wants and reads every value, as a capture does.
class ReadingObserver : public Observer {
 public:
  explicit ReadingObserver(bool layers_only) : layers_only_(layers_only) {}
  bool Wants(engine::Stage stage, int32_t layer) const override {
    return !layers_only_ || layer < 0 || stage == engine::Stage::kLayerOut;
  }
  absl::Status BeginStep(const engine::Step& step) override { return absl::OkStatus(); }
  absl::Status Observe(engine::Stage stage, int32_t layer,
                       const engine::MutableTensorView& value) override {
    frame_.assign(value.values.begin(), value.values.end());
    return absl::OkStatus();
  }
  absl::Status EndStep() override { return absl::OkStatus(); }

 private:
  const bool layers_only_;
  std::vector<float> frame_;
};

std::vector<int32_t> Prompt(int tokens, int index, int32_t vocabulary) {
  std::vector<int32_t> prompt(tokens);
  for (int i = 0; i < tokens; ++i) prompt[i] = (100 + index * 31 + i * 7919) % vocabulary;
  return prompt;
}

// Seconds of a prompt's prefill until its first token is chosen.
absl::StatusOr<double> FirstToken(Engine& engine, int tokens) {
  const std::vector<int32_t> prompt = Prompt(tokens, 0, engine.info().vocabulary);
  std::vector<float> logits(engine.info().vocabulary);
  ASSIGN_OR_RETURN(const auto session, engine.NewSession(tokens + 1));
  engine::TopLogits top;
  const auto start = Clock::now();
  RETURN_IF_ERROR(
      session->ForwardTop(prompt, {.prefill = true}, nullptr, absl::MakeSpan(logits), 1, top));
  const double seconds = SecondsSince(start);
  if (top.values.empty()) return absl::InternalError("no token can be chosen");
  return seconds;
}

// Tokens a second of `sequences` sequences together, after their prompts. Ids are given and logits
// brought to the host, as llama-bench does: no side chooses tokens.
absl::StatusOr<double> Decode(Engine& engine, const Settings& settings, int sequences,
                              Observer* observer) {
  std::vector<absl::Status> results(sequences);
  std::vector<Clock::time_point> starts(sequences);
  std::barrier<> fed(sequences);
  const auto follow = [&](int index) -> absl::Status {
    const int32_t vocabulary = engine.info().vocabulary;
    std::vector<float> logits(vocabulary);
    auto session = engine.NewSession(settings.first_tokens + settings.decode_tokens);
    const absl::Status prompted =
        session.ok() ? (*session)->Forward(Prompt(settings.first_tokens, index, vocabulary),
                                           {.prefill = true}, nullptr, absl::MakeSpan(logits))
                     : session.status();
    fed.arrive_and_wait();
    RETURN_IF_ERROR(prompted);
    starts[index] = Clock::now();
    for (const int32_t id : Prompt(settings.decode_tokens, index + 7, vocabulary)) {
      RETURN_IF_ERROR((*session)->Forward({id}, {}, observer, absl::MakeSpan(logits)));
    }
    return absl::OkStatus();
  };
  std::vector<std::thread> threads;
  for (int i = 1; i < sequences; ++i) {
    threads.emplace_back([&, i] { results[i] = follow(i); });
  }
  results[0] = follow(0);
  for (std::thread& thread : threads) thread.join();
  const double seconds = SecondsSince(*std::min_element(starts.begin(), starts.end()));
  for (const absl::Status& result : results) RETURN_IF_ERROR(result);
  return sequences * settings.decode_tokens / seconds;
}

// A figure's values, a round each.
struct Row {
  std::string name;
  std::vector<double> rounds = {};
};

enum RowIndex {
  kDecode,
  kDecode2,
  kDecode4,
  kDecode8,
  kPrefill,
  kFirst,
  kLayers,
  kFull,
  kGreedy,
  kCapturedLayers,
  kCapturedFull,
  kRows
};

// captured: null where there is no collector; those rows are 0 then.
absl::StatusOr<std::array<double, kRows>> Round(Engine& engine, const Settings& settings,
                                                CapturedDecode* captured) {
  ReadingObserver layers(true), full(false);
  std::array<double, kRows> values = {};
  ASSIGN_OR_RETURN(values[kDecode], Decode(engine, settings, 1, nullptr));
  ASSIGN_OR_RETURN(values[kDecode2], Decode(engine, settings, 2, nullptr));
  ASSIGN_OR_RETURN(values[kDecode4], Decode(engine, settings, 4, nullptr));
  ASSIGN_OR_RETURN(values[kDecode8], Decode(engine, settings, 8, nullptr));
  ASSIGN_OR_RETURN(const double prefill, FirstToken(engine, settings.prefill_tokens));
  values[kPrefill] = settings.prefill_tokens / prefill;
  ASSIGN_OR_RETURN(const double first, FirstToken(engine, settings.first_tokens));
  values[kFirst] = first * 1e3;
  ASSIGN_OR_RETURN(const double with_layers, Decode(engine, settings, 1, &layers));
  ASSIGN_OR_RETURN(const double with_full, Decode(engine, settings, 1, &full));
  values[kLayers] = with_layers / values[kDecode];
  values[kFull] = with_full / values[kDecode];
  if (captured == nullptr) return values;
  const std::vector<int32_t> prompt = Prompt(settings.first_tokens, 0, engine.info().vocabulary);
  const auto rate = [&](const char* level) {
    return captured->Rate(prompt, settings.decode_tokens, level);
  };
  ASSIGN_OR_RETURN(values[kGreedy], rate(""));
  ASSIGN_OR_RETURN(const double layers_stored, rate("layers"));
  ASSIGN_OR_RETURN(const double full_stored, rate("full"));
  values[kCapturedLayers] = layers_stored / values[kGreedy];
  values[kCapturedFull] = full_stored / values[kGreedy];
  return values;
}

// llama-bench's account of the same file: a rate for kDecode and kPrefill, milliseconds for kFirst,
// 0 elsewhere.
absl::StatusOr<std::array<double, kRows>> RunLlamaBench(const Settings& settings,
                                                        const std::string& model) {
  ASSIGN_OR_RETURN(
      const std::string text,
      bench::OutputOf({settings.llama_bench, "-m", model, "-ngl", "99", "-o", "json", "-r",
                       absl::StrCat(settings.rounds), "-p",
                       absl::StrCat(settings.prefill_tokens, ",", settings.first_tokens), "-n",
                       absl::StrCat(settings.decode_tokens)}));
  const auto json = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_array()) {
    return absl::UnavailableError(absl::StrCat(settings.llama_bench, " printed no JSON array"));
  }
  std::array<double, kRows> values = {};
  for (const auto& test : json) {
    const int prompt = test.value("n_prompt", 0), generated = test.value("n_gen", 0);
    if (generated > 0) {
      values[kDecode] = test.value("avg_ts", 0.0);
    } else if (prompt == settings.prefill_tokens) {
      values[kPrefill] = test.value("avg_ts", 0.0);
    } else {
      values[kFirst] = test.value("avg_ns", 0.0) * 1e-6;
    }
  }
  return values;
}

// Bytes of weights that a decoded token reads.
double BytesOfToken(const model::GgufFile& file) {
  const auto json = nlohmann::json::parse(model::InspectJson(file), nullptr, false);
  return json.is_object() ? json.value("bytes_per_token", 0.0) : 0.0;
}

std::string Value(double value) { return absl::StrFormat(value < 10 ? "%.3f" : "%.1f", value); }

absl::Status Measure(Settings settings, const std::string& path, double bandwidth) {
  ASSIGN_OR_RETURN(std::shared_ptr<const model::GgufFile> file, model::GgufFile::Open(path));
  ASSIGN_OR_RETURN(const model::ModelConfig config, model::ReadConfig(*file));
  settings.prefill_tokens = std::min(settings.prefill_tokens, config.context_tokens - 1);
  ASSIGN_OR_RETURN(auto card, OpenCard({}));
  const auto start = Clock::now();
  ASSIGN_OR_RETURN(
      const auto engine,
      engine::BackendEngine::Create(
          file, std::move(card),
          {.max_step_tokens = std::max(settings.prefill_tokens, settings.first_tokens)}));
  const double load_seconds = SecondsSince(start);
  Row rows[kRows] = {{"decode, tokens/s"},
                     {"decode of 2 sequences, tokens/s"},
                     {"decode of 4 sequences, tokens/s"},
                     {"decode of 8 sequences, tokens/s"},
                     {absl::StrCat("prefill of ", settings.prefill_tokens, ", tokens/s")},
                     {absl::StrCat("first token of ", settings.first_tokens, ", ms")},
                     {"decode with layers observed / without"},
                     {"decode with everything observed / without"},
                     {"decode of a request, greedy, tokens/s"},
                     {"the same captured in layers to a collector / without"},
                     {"the same captured in full to a collector / without"}};
  std::unique_ptr<CapturedDecode> captured;
  if (!settings.collector.empty()) {
    ASSIGN_OR_RETURN(captured, CapturedDecode::Open(*engine, file->name(), settings.collector));
  }
  for (int round = -1; round < settings.rounds; ++round) {  // the first warms up
    ASSIGN_OR_RETURN(const auto values, Round(*engine, settings, captured.get()));
    if (round < 0) continue;
    for (int i = 0; i < kRows; ++i) rows[i].rounds.push_back(values[i]);
  }
  const bool speed = bandwidth > 0;
  absl::StatusOr<std::array<double, kRows>> peer = absl::NotFoundError("");
  if (!settings.llama_bench.empty()) peer = RunLlamaBench(settings, path);
  if (!settings.llama_bench.empty() && !peer.ok()) {
    std::fprintf(stderr, "%s\n", peer.status().ToString().c_str());
  }
  for (int i = 0; i < kRows; ++i) {
    const double ours = Median(rows[i].rounds);
    const double theirs = peer.ok() ? (*peer)[i] : 0;
    const double better = i == kFirst ? theirs / ours : ours / theirs;
    std::printf("| %s | %s | %s | %s | %s |\n", file->name().c_str(), rows[i].name.c_str(),
                speed && ours > 0 ? Value(ours).c_str() : "not measured",
                theirs > 0 ? Value(theirs).c_str() : "not measured",
                speed && theirs > 0 ? absl::StrFormat("%.2fx", better).c_str() : "");
  }
  const double share = BytesOfToken(*file) * Median(rows[kDecode].rounds) / bandwidth;
  std::printf("| %s | decode, share of the copy bandwidth | %s | | |\n", file->name().c_str(),
              speed ? absl::StrFormat("%.1f%%", 100 * share).c_str() : "not measured");
  std::printf("| %s | load, s | %s | | |\n", file->name().c_str(),
              speed ? Value(load_seconds).c_str() : "not measured");
  std::fflush(stdout);
  return absl::OkStatus();
}

absl::Status Run(const Settings& settings, const std::string& program) {
  ASSIGN_OR_RETURN(const auto facts, CardFacts());
  for (const auto& [name, value] : facts) std::printf("%s: %s\n", name.c_str(), value.c_str());
  const absl::StatusOr<double> bandwidth = CopyBandwidth();
  std::printf("copy on the card: %s\n\n",
              bandwidth.ok()
                  ? absl::StrFormat("%.0f GB/s, read and written", *bandwidth * 1e-9).c_str()
                  : "not measured");
  std::printf(
      "| model | median of %d rounds | parity | llama.cpp | better |\n|---|---|---|---|---|\n",
      settings.rounds);
  for (const std::string& model : settings.models) {
    RETURN_IF_ERROR(Measure(settings, model, bandwidth.value_or(0)));
  }
  if (settings.collector.empty()) {
    std::printf(
        "\nnot measured: captures to a collector; %s --collector ADDRESS --model MODEL.gguf\n",
        program.c_str());
  }
  if (settings.llama_bench.empty()) {
    std::printf(
        "\nnot measured: llama.cpp; %s --llama-bench LLAMA_BENCH --model MODEL.gguf, with\n"
        "llama-bench of a build with -DGGML_CUDA=ON\n",
        program.c_str());
  }
  return absl::OkStatus();
}

}  // namespace
}  // namespace parity::testing

int main(int argc, char** argv) {
  parity::testing::Settings settings;
  CLI::App app("Measures the cuda engine on a card. Exit code 4: there is none.");
  app.add_option("--model", settings.models, "GGUF file; may be given several times")->required();
  app.add_option("--llama-bench", settings.llama_bench, "llama.cpp's llama-bench, built for CUDA");
  app.add_option("--collector", settings.collector,
                 "Address of a parity-collector on this machine: unix:/path or host:port");
  app.add_option("--rounds", settings.rounds, "Rounds")->check(CLI::Range(1, 1000));
  app.add_option("--prefill", settings.prefill_tokens, "Tokens of the long prompt");
  app.add_option("--first", settings.first_tokens, "Tokens of the short prompt");
  app.add_option("--decode", settings.decode_tokens, "Tokens to decode")
      ->check(CLI::Range(2, 1 << 20));
  CLI11_PARSE(app, argc, argv);
  const absl::Status status = parity::testing::Run(settings, argv[0]);
  if (status.ok()) return 0;
  std::fprintf(stderr, "%s\n", std::string(status.message()).c_str());
  return absl::IsUnavailable(status) || absl::IsUnimplemented(status) ? 4 : 1;
}
