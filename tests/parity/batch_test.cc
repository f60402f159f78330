// Sequences that are decoded together: joined, left, cut, watched, stopped and failing at any step,
// each has the bits it has alone.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "kernels/cpu/cpu_backend.h"
#include "tests/parity/batch_script.h"
#include "tests/parity/smollm2.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/tiny_model.h"
#include "worker/engine/backend_engine.h"
#include "worker/model/gguf_file.h"

namespace parity::testing {
namespace {

// How much was computed together.
struct Load {
  std::atomic<int> steps{0};
  std::atomic<int> shared{0};  // by at least two sequences
  std::atomic<int> most{0};    // sequences of a step
};

// An engine whose steps take at least `step_time`, so that others arrive meanwhile.
std::unique_ptr<engine::Engine> MakeEngine(std::shared_ptr<const model::GgufFile> file,
                                           const kernels::CpuOptions& options, Load& load,
                                           std::chrono::microseconds step_time = {}) {
  auto backend = kernels::CpuBackend::Create(options);
  EXPECT_OK(backend);
  auto engine = engine::BackendEngine::Create(
      std::move(file), *std::move(backend),
      {.max_step_tokens = 48, .on_step = [&load, step_time](const engine::StepLoad& step) {
         ++load.steps;
         if (step.sequences > 1) ++load.shared;
         load.most = std::max(load.most.load(), step.sequences);
         if (step_time.count() > 0) std::this_thread::sleep_for(step_time);
       }});
  EXPECT_OK(engine);
  return engine.ok() ? *std::move(engine) : nullptr;
}

// Runs scripts[i], scripts[i + threads], ... on thread i.
std::vector<Outcome> RunTogether(engine::Engine& engine, const std::vector<Script>& scripts,
                                 size_t threads) {
  std::vector<Outcome> outcomes(scripts.size());
  std::vector<std::thread> running;
  for (size_t first = 0; first < threads; ++first) {
    running.emplace_back([&, first] {
      for (size_t i = first; i < scripts.size(); i += threads) {
        outcomes[i] = RunScript(engine, scripts[i]);
      }
    });
  }
  for (std::thread& thread : running) thread.join();
  return outcomes;
}

struct BatchCase {
  kernels::DType dtype;
  kernels::Numerics numerics;
};

class BatchTest : public ::testing::TestWithParam<BatchCase> {};

TEST_P(BatchTest, CompanyChangesNoBit) {
  TinyModelOptions options;
  options.layers = 3;
  options.matrices = options.embedding = GetParam().dtype;
  options.vocabulary = 321;
  const std::string bytes = TinyModel(options).Serialize();
  ASSERT_OK_AND_ASSIGN(std::shared_ptr<const model::GgufFile> file,
                       model::GgufFile::FromBytes(
                           "tiny", {reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()}));
  std::mt19937_64 random(20260723);
  std::vector<Script> scripts;
  for (int i = 0; i < 24; ++i) scripts.push_back(RandomScript(random, 320, 60));
  std::vector<Outcome> alone;
  {
    Load load;
    const auto engine = MakeEngine(file, {.numerics = GetParam().numerics}, load);
    for (Script script : scripts) {
      script.pauses = 0;
      alone.push_back(RunScript(*engine, script));
    }
    EXPECT_EQ(load.shared, 0);
  }
  for (const int threads : {1, 2, 3}) {
    SCOPED_TRACE(absl::StrCat(threads, " threads"));
    Load load;
    const auto engine = MakeEngine(file, {.threads = threads, .numerics = GetParam().numerics},
                                   load, std::chrono::microseconds(200));
    const std::vector<Outcome> together = RunTogether(*engine, scripts, 6);
    for (size_t i = 0; i < scripts.size(); ++i) {
      EXPECT_EQ(Difference(alone[i], together[i]), "")
          << "script " << i << ": " << Describe(scripts[i]);
    }
    EXPECT_GT(load.shared, load.steps / 4) << load.steps << " steps";
    EXPECT_GE(load.most, 3);
  }
}

std::vector<BatchCase> Cases() {
  using kernels::DType;
  using kernels::Numerics;
  return {{DType::kQ4_1, Numerics::kNative}, {DType::kQ8_0, Numerics::kNative},
          {DType::kF16, Numerics::kNative},  {DType::kF32, Numerics::kNative},
          {DType::kQ4_1, Numerics::kF32},    {DType::kF16, Numerics::kF32}};
}

INSTANTIATE_TEST_SUITE_P(Types, BatchTest, ::testing::ValuesIn(Cases()), [](const auto& info) {
  return absl::StrCat(kernels::Traits(info.param.dtype).name,
                      info.param.numerics == kernels::Numerics::kF32 ? "_f32" : "_native");
});

TEST(BatchModelTest, SmolLM2) {
  if (access(SmolLM2Path().c_str(), R_OK) != 0) GTEST_SKIP() << "no " << SmolLM2Path();
  ASSERT_OK_AND_ASSIGN(std::shared_ptr<const model::GgufFile> file,
                       model::GgufFile::Open(SmolLM2Path()));
  std::vector<Script> scripts;
  for (int i = 0; i < 5; ++i) {
    const Sequence sequence = SmolLM2Sequence(i % kPrompts);
    const int32_t count = 12 + 5 * i;
    scripts.push_back({.ids = {sequence.ids.begin(), sequence.ids.begin() + count},
                       .prompt = count - 9,
                       .piece = 0,
                       .watch = i == 1 ? Watch::kLayers : Watch::kNothing,
                       .turn = 0,
                       .pauses = 0});
  }
  std::vector<Outcome> alone;
  Load load;
  {
    const auto engine = MakeEngine(file, {.threads = 1}, load);
    for (const Script& script : scripts) alone.push_back(RunScript(*engine, script));
  }
  const auto engine = MakeEngine(file, {.threads = 2}, load);
  const std::vector<Outcome> together = RunTogether(*engine, scripts, scripts.size());
  for (size_t i = 0; i < scripts.size(); ++i) {
    EXPECT_EQ(Difference(alone[i], together[i]), "") << "script " << i;
  }
  EXPECT_GE(load.most, 3);
}

}  // namespace
}  // namespace parity::testing
