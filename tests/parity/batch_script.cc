#include "tests/parity/batch_script.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <memory>
#include <thread>

#include "absl/strings/str_cat.h"

namespace parity::testing {
namespace {

using checkpoint::Stage;

bool Wanted(Watch watch, Stage stage, int32_t layer, int32_t layers) {
  switch (watch) {
    case Watch::kNothing:
      return false;
    case Watch::kEverything:
    case Watch::kFailsMidway:
    case Watch::kStopsMidway:
      return true;
    case Watch::kLayers:
      return stage == Stage::kEmbed || stage == Stage::kLayerOut || stage == Stage::kFinalNorm ||
             stage == Stage::kLogits;
    case Watch::kLogits:
      return stage == Stage::kLogits;
    case Watch::kFirstLayer:
      return layer == 0;
    case Watch::kLastLayer:
      return layer == layers - 1;
    case Watch::kSubstitute:
      return stage == Stage::kLayerOut || stage == Stage::kAttnV;
  }
  return false;
}

// Records, and does what the script says at its turn.
class Watcher : public engine::Recorder {
 public:
  Watcher(const Script& script, int32_t layers, std::atomic<bool>& stop)
      : Recorder([watch = script.watch, layers](Stage stage, int32_t layer) {
          return Wanted(watch, stage, layer, layers);
        }),
        script_(script),
        stop_(stop) {}

  bool Substitutes() const override { return script_.watch == Watch::kSubstitute; }

  absl::Status BeginStep(const engine::Step& step) override {
    first_ = step.first_position;
    last_ = first_ + static_cast<int32_t>(step.ids.size()) - 1;
    return Recorder::BeginStep(step);
  }

  absl::Status Observe(Stage stage, int32_t layer,
                       const engine::MutableTensorView& value) override {
    const bool turn =
        script_.turn >= first_ && script_.turn <= last_ && stage == Stage::kMlpNorm && layer == 0;
    if (turn && script_.watch == Watch::kStopsMidway) stop_ = true;
    if (turn && script_.watch == Watch::kFailsMidway) return absl::DataLossError("its turn");
    if (absl::Status status = Recorder::Observe(stage, layer, value); !status.ok()) return status;
    if (!Substitutes()) return absl::OkStatus();
    for (int64_t row = 0; row < value.rows; ++row) {
      for (int64_t i = 0; i < value.width; ++i) {
        float& x = value.values[row * value.width + i];
        x = x * 0.5f + static_cast<float>((first_ + row + i) % 7) * 0.01f;
      }
    }
    return absl::OkStatus();
  }

 private:
  const Script& script_;
  std::atomic<bool>& stop_;
  int32_t first_ = 0;
  int32_t last_ = 0;
};

bool SameBits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

void Pause(std::mt19937_64& random) {
  const uint64_t kind = random() % 8;
  if (kind < 5) return;
  if (kind == 5) std::this_thread::yield();
  if (kind > 5) std::this_thread::sleep_for(std::chrono::microseconds(random() % 1500));
}

std::string RecordingDifference(bool prefix, const engine::Recording& expected,
                                const engine::Recording& found) {
  if (!prefix && expected.values.size() != found.values.size()) {
    return absl::StrCat(found.values.size(), " sites, expected ", expected.values.size());
  }
  for (const auto& [site, rows] : found.values) {
    const std::string name = checkpoint::ToString({site.second, site.first});
    const auto other = expected.values.find(site);
    if (other == expected.values.end()) {
      if (prefix) continue;
      return absl::StrCat(name, " is new");
    }
    if (!prefix && rows.size() != other->second.size()) {
      return absl::StrCat(name, ": ", rows.size(), " rows, expected ", other->second.size());
    }
    for (size_t row = 0; row < std::min(rows.size(), other->second.size()); ++row) {
      if (prefix && (rows[row].empty() || other->second[row].empty())) continue;
      if (!SameBits(rows[row], other->second[row])) return absl::StrCat(name, " at ", row);
    }
  }
  return "";
}

}  // namespace

Script RandomScript(std::mt19937_64& random, int32_t vocabulary, int32_t most_tokens) {
  const auto below = [&](int32_t n) {
    return static_cast<int32_t>(random() % static_cast<uint64_t>(n));
  };
  Script script;
  const int32_t count = 1 + below(most_tokens);
  for (int32_t i = 0; i < count; ++i) script.ids.push_back(below(vocabulary));
  script.prompt = 1 + below(count);
  script.piece = below(3) == 0 ? 0 : 1 + below(script.prompt);
  script.watch = static_cast<Watch>(below(kWatches));
  script.turn = below(count);
  script.pauses = random() | 1;
  return script;
}

std::string Describe(const Script& script) {
  return absl::StrCat(script.ids.size(), " ids, prompt ", script.prompt, ", pieces of ",
                      script.piece, ", watch ", static_cast<int>(script.watch), ", turn ",
                      script.turn);
}

Outcome RunScript(engine::Engine& engine, const Script& script) {
  Outcome outcome;
  auto session = engine.NewSession(static_cast<int32_t>(script.ids.size()));
  if (!session.ok()) {
    outcome.status = session.status();
    return outcome;
  }
  std::atomic<bool> stop{false};
  Watcher watcher(script, engine.info().layers, stop);
  engine::Observer* const observer = script.watch == Watch::kNothing ? nullptr : &watcher;
  std::mt19937_64 random(script.pauses);
  std::vector<float> row(engine.info().vocabulary);
  const auto ids = absl::MakeConstSpan(script.ids);
  while ((*session)->position() < static_cast<int32_t>(ids.size())) {
    if (script.pauses != 0) Pause(random);
    const int32_t at = (*session)->position();
    const bool prefill = at < script.prompt;
    const int32_t piece = script.piece > 0 ? script.piece : script.prompt;
    const int32_t count = prefill ? std::min(piece, script.prompt - at) : 1;
    const bool wanted = at + count >= script.prompt;
    outcome.status = (*session)->Forward(
        ids.subspan(at, count),
        {.logits = wanted ? engine::LogitsWanted::kLast : engine::LogitsWanted::kNone,
         .prefill = prefill,
         .stop = &stop},
        observer, absl::MakeSpan(row));
    if (!outcome.status.ok()) break;
    if (wanted) outcome.logits.push_back(row);
  }
  outcome.recording = watcher.Take();
  return outcome;
}

std::string Difference(const Outcome& expected, const Outcome& found) {
  if (expected.status != found.status) {
    return absl::StrCat(found.status.ToString(), ", expected ", expected.status.ToString());
  }
  if (expected.logits.size() != found.logits.size()) {
    return absl::StrCat(found.logits.size(), " logits, expected ", expected.logits.size());
  }
  for (size_t i = 0; i < expected.logits.size(); ++i) {
    if (!SameBits(expected.logits[i], found.logits[i])) return absl::StrCat("logits ", i);
  }
  return RecordingDifference(!expected.status.ok(), expected.recording, found.recording);
}

}  // namespace parity::testing
