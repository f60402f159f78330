// Synthetic F32 models with an F32 KV cache: nothing is quantised, so the engines agree end to end
// at every checkpoint.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "kernels/cpu/cpu_backend.h"
#include "proto/status/status_macros.h"
#include "tests/parity/follow.h"
#include "tests/parity/metrics.h"
#include "tests/parity/shadow.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/tiny_model.h"
#include "worker/engine/backend_engine.h"
#include "worker/engine/recorder.h"
#include "worker/llama/llama_engine.h"
#include "worker/model/gguf_file.h"
#include "worker/model/model_config.h"

namespace parity::testing {
namespace {

// Values are of order 1 to 5, sums of some hundred terms: 5e-6 is about ten units in the last place
// of 5.
constexpr double kMostAbs = 5e-6;
// GELU: llama.cpp rounds its argument and its value to half and looks it up, so an activation of up
// to 4 that lies at the middle between two halves moves by their spacing, 2^-10 of itself (and by
// twice half of that against f32, which computes it exactly).
constexpr double kMostAbsOfGelu = 0x1p-10 * 4;

struct Shape {
  const char* name;
  TinyModelOptions model;
};

std::vector<Shape> Shapes() {
  TinyModelOptions untied = {.layers = 3, .tied = false, .biases = true};
  TinyModelOptions wide = {.width = 128,
                           .heads = 8,
                           .kv_heads = 1,
                           .head_size = 32,
                           .feed_forward = 160,
                           .rope_freqs = true,
                           .seed = 7};
  TinyModelOptions mlp_biases = {.biases = true, .mlp_biases = true, .rope_scaling = 4};
  TinyModelOptions qwen2 = {.architecture = "qwen2", .width = 112, .heads = 7, .kv_heads = 1};
  TinyModelOptions qwen3 = {
      .architecture = "qwen3", .heads = 9, .kv_heads = 3, .head_size = 24, .rope_scaling = 2};
  TinyModelOptions gemma3 = {
      .architecture = "gemma3", .layers = 7, .kv_heads = 1, .head_size = 32, .rope_scaling = 8};
  TinyModelOptions windows = {
      .architecture = "gemma3", .layers = 4, .head_size = 24, .window = 7, .window_pattern = 2};
  return {{"default", {}},           {"untied_biases", untied},
          {"wide_rope_freqs", wide}, {"mlp_biases", mlp_biases},
          {"qwen2", qwen2},          {"qwen3", qwen3},
          {"gemma3", gemma3},        {"gemma3_windows", windows}};
}

// TinyModel's random weights give values up to 15; norms of a quarter bring them down to the order
// of 1 to 5.
absl::Status WriteModel(const TinyModelOptions& options, const std::string& path) {
  std::string bytes = TinyModel(options).Serialize();
  const auto* start = reinterpret_cast<const uint8_t*>(bytes.data());
  ASSIGN_OR_RETURN(const auto file, model::GgufFile::FromBytes("tiny", {start, bytes.size()}));
  for (const model::TensorInfo& tensor : file->tensors()) {
    if (!absl::EndsWith(tensor.name, "_norm.weight")) continue;
    for (size_t at = 0; at < tensor.bytes.size(); at += sizeof(float)) {
      char* place = bytes.data() + (tensor.bytes.data() - start) + at;
      float value;
      std::memcpy(&value, place, sizeof(value));
      value *= 0.25f;
      std::memcpy(place, &value, sizeof(value));
    }
  }
  return WriteFile(path, bytes);
}

class SyntheticTest : public ::testing::TestWithParam<kernels::Numerics> {};

TEST_P(SyntheticTest, AgreesWithLlamaAtEveryCheckpoint) {
  std::vector<int32_t> ids;
  for (int i = 0; i < 32; ++i) ids.push_back((i * 37 + 11) % 380);
  const Sequence sequence = {.ids = ids, .prompt = 20};
  const std::string path = ::testing::TempDir() + "/synthetic.gguf";
  for (const Shape& shape : Shapes()) {
    SCOPED_TRACE(shape.name);
    ASSERT_OK(WriteModel(shape.model, path));
    const auto llama = llama::LlamaEngine::Create(path, {.kv_type = kernels::KvType::kF32});
    if (absl::IsUnimplemented(llama.status())) GTEST_SKIP() << llama.status().message();
    ASSERT_OK(llama);
    engine::Recorder reference;
    ASSERT_OK(Follow(**llama, sequence, &reference));

    ASSERT_OK_AND_ASSIGN(std::shared_ptr<const model::GgufFile> file, model::GgufFile::Open(path));
    ASSERT_OK_AND_ASSIGN(auto backend, kernels::CpuBackend::Create({.numerics = GetParam()}));
    ASSERT_OK_AND_ASSIGN(const auto cpu,
                         engine::BackendEngine::Create(file, std::move(backend),
                                                       {.kv_type = kernels::KvType::kF32}));
    engine::Recorder candidate;
    ASSERT_OK(Follow(*cpu, sequence, &candidate));

    const double most = shape.model.architecture == "gemma3" ? kMostAbsOfGelu : kMostAbs;
    double worst = 0, largest = 0;
    EXPECT_EQ(cpu->info().checkpoints.size(), (*llama)->info().checkpoints.size());
    for (const checkpoint::Name& name : cpu->info().checkpoints) {
      for (int32_t position = 0; position < 32; ++position) {
        const auto* a = reference.recording().Find(name.stage, name.layer, position);
        const auto* b = candidate.recording().Find(name.stage, name.layer, position);
        ASSERT_TRUE(a != nullptr && b != nullptr) << checkpoint::ToString(name);
        const double difference = MaxAbs(*a, *b);
        worst = std::max(worst, difference);
        EXPECT_LE(difference, most) << checkpoint::ToString(name) << " at " << position;
        for (float v : *a) largest = std::max(largest, std::abs(static_cast<double>(v)));
      }
    }
    std::printf("%-16s worst absolute difference of any checkpoint: %.2e, largest value %.1f\n",
                shape.name, worst, largest);
  }
}

INSTANTIATE_TEST_SUITE_P(Numerics, SyntheticTest,
                         ::testing::Values(kernels::Numerics::kNative, kernels::Numerics::kF32),
                         [](const auto& info) {
                           return info.param == kernels::Numerics::kF32 ? "F32" : "Native";
                         });

// Every weight type, op by op over libllama's recorded inputs, with the F16 cache.
class TypeShadowTest : public ::testing::TestWithParam<kernels::DType> {};

TEST_P(TypeShadowTest, EveryOpAgreesWithLlama) {
  std::vector<int32_t> ids;
  for (int i = 0; i < 32; ++i) ids.push_back((i * 37 + 11) % 320);
  const Sequence sequence = {.ids = ids, .prompt = 20};
  const std::string path = ::testing::TempDir() + "/types.gguf";
  TinyModelOptions options = {.head_size = 32, .vocabulary = 321, .rope_freqs = true};
  options.matrices = options.embedding = GetParam();
  ASSERT_OK(WriteModel(options, path));
  const auto llama = llama::LlamaEngine::Create(path, {});
  if (absl::IsUnimplemented(llama.status())) GTEST_SKIP() << llama.status().message();
  ASSERT_OK(llama);
  engine::Recorder reference;
  ASSERT_OK(Follow(**llama, sequence, &reference));
  ASSERT_OK_AND_ASSIGN(std::shared_ptr<const model::GgufFile> file, model::GgufFile::Open(path));
  ASSERT_OK_AND_ASSIGN(auto backend, kernels::CpuBackend::Create({}));
  ASSERT_OK_AND_ASSIGN(const auto cpu, engine::BackendEngine::Create(file, std::move(backend), {}));
  ASSERT_OK_AND_ASSIGN(const model::ModelConfig config, model::ReadConfig(*file));
  ShadowObserver shadow(reference.recording(), config);
  ASSERT_OK(Follow(*cpu, sequence, &shadow));
  const ShadowFindings found = shadow.Findings();
  EXPECT_EQ(found.measured, 32 * (3 + 2 * 15));
  EXPECT_EQ(found.unmeasured, 0);
  for (const SiteError& site : found.AboveFloor()) {
    ADD_FAILURE() << site.Name() << " position " << site.position << ": NMSE " << site.nmse
                  << ", unexplained " << site.unexplained;
  }
}

INSTANTIATE_TEST_SUITE_P(Types, TypeShadowTest,
                         ::testing::Values(kernels::DType::kF32, kernels::DType::kF16,
                                           kernels::DType::kBF16, kernels::DType::kQ4_0,
                                           kernels::DType::kQ4_1, kernels::DType::kQ8_0),
                         [](const auto& info) { return kernels::Traits(info.param).name; });

}  // namespace
}  // namespace parity::testing
