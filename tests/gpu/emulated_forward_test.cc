// The whole forward pass of the CUDA engine, its kernels emulated, on small models: each op over
// the inputs that the CPU engine's f32 numerics recorded, and the same bits however it is asked.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "kernels/cpu/cpu_backend.h"
#include "kernels/cuda/cuda_backend.h"
#include "kernels/cuda/emulation/emulated_device.h"
#include "proto/status/status_macros.h"
#include "tests/parity/follow.h"
#include "tests/parity/metrics.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/tiny_model.h"
#include "worker/engine/backend_engine.h"
#include "worker/engine/recorder.h"
#include "worker/model/gguf_file.h"

namespace parity::testing {
namespace {

using checkpoint::Stage;
using kernels::DType;
using kernels::KvType;
using kernels::Numerics;
using kernels::cuda::emulation::Order;

// f32 numerics: what the order of float sums explains (kShadowFloor), and no more.
constexpr double kMostF32 = 1e-10;
// Native, where no product of quantised weights stands before: float sums, and angles by repeated
// float products, which move a head by 1e-5 at these positions.
constexpr double kMostNative = 1e-8;
// Keys rounded to half move a score by 2^-12 of itself, and so a probability by that share: scores
// of these models reach 13.
constexpr double kMostContext = 1e-5;
// A product of quantised weights multiplies int8 activations: what the rounding of its input has as
// NMSE (Int8Term), its output has in the mean; a short row of outputs has a multiple of it by
// chance.
constexpr double kChance = 4.0;
// The goal for models that are as wide as real ones. These have rows of two or three blocks, where
// one large activation is a good part of a row: the derived term is the bound, and is shown.
constexpr double kGoal = 1e-4;

constexpr int32_t kTokens = 26;
constexpr int32_t kPrompt = 20;  // one dense step; the others are fed one by one

std::vector<int32_t> Ids() {
  std::vector<int32_t> ids;
  for (int i = 0; i < kTokens; ++i) ids.push_back((i * 37 + 11) % 320);
  return ids;
}

// NMSE of rounding x to steps of max / 127 per 32: uniform rounding leaves 1 / 12 of a step's
// square.
double Int8Term(absl::Span<const float> x) {
  double error = 0, total = 0;
  for (size_t b = 0; b < x.size(); b += 32) {
    double most = 0;
    for (size_t k = b; k < std::min(b + 32, x.size()); ++k) {
      most = std::max(most, std::fabs(static_cast<double>(x[k])));
      total += static_cast<double>(x[k]) * x[k];
    }
    error += 32 * (most / 127) * (most / 127) / 12;
  }
  return total > 0 ? error / total : 0;
}

// The checkpoint that the product of a stage multiplies.
std::optional<Stage> InputOf(Stage stage) {
  switch (stage) {
    case Stage::kAttnQ:
    case Stage::kAttnK:
    case Stage::kAttnV:
      return Stage::kAttnNorm;
    case Stage::kAttnOut:
      return Stage::kAttnContext;
    case Stage::kMlpGate:
    case Stage::kMlpUp:
      return Stage::kMlpNorm;
    case Stage::kMlpDown:
      return Stage::kMlpAct;
    case Stage::kLogits:
      return Stage::kFinalNorm;
    default:
      return std::nullopt;
  }
}

// A shadow run: measures each value against the recording and its bound, then replaces it.
class BoundedShadow : public engine::Observer {
 public:
  BoundedShadow(const engine::Recording& recording, Numerics numerics)
      : recording_(recording), numerics_(numerics) {}

  bool Wants(Stage stage, int32_t layer) const override { return true; }
  bool Substitutes() const override { return true; }
  absl::Status BeginStep(const engine::Step& step) override {
    first_position_ = step.first_position;
    return absl::OkStatus();
  }
  absl::Status EndStep() override { return absl::OkStatus(); }

  absl::Status Observe(Stage stage, int32_t layer,
                       const engine::MutableTensorView& value) override {
    for (int64_t row = 0; row < value.rows; ++row) {
      const int32_t position = first_position_ + static_cast<int32_t>(row);
      const std::vector<float>* recorded = recording_.Find(stage, layer, position);
      const absl::Span<float> values = value.values.subspan(row * value.width, value.width);
      if (recorded == nullptr || recorded->size() != values.size()) {
        return absl::InternalError("not recorded");
      }
      const double nmse = Nmse(*recorded, values);
      const double bound = Bound(stage, layer, position);
      EXPECT_LE(nmse, bound) << checkpoint::ToString({stage, layer}) << " position " << position;
      if (nmse > worst_) {
        worst_ = nmse;
        worst_site_ = checkpoint::ToString({stage, layer});
      }
      ++measured_;
      beyond_goal_ += nmse > kGoal;
      std::copy(recorded->begin(), recorded->end(), values.begin());
    }
    return absl::OkStatus();
  }

  int64_t measured() const { return measured_; }
  std::string Summary() const {
    return absl::StrFormat("worst NMSE of any op: %.2e (%s), %d of %d above %.0e", worst_,
                           worst_site_, beyond_goal_, measured_, kGoal);
  }

 private:
  double Bound(Stage stage, int32_t layer, int32_t position) const {
    if (numerics_ == Numerics::kF32) return kMostF32;
    const std::optional<Stage> input = InputOf(stage);
    if (stage == Stage::kAttnContext) return kMostContext;
    if (!input.has_value()) return kMostNative;
    const std::vector<float>* x = recording_.Find(*input, layer, position);
    return kMostNative + (x != nullptr ? kChance * Int8Term(*x) : 0);
  }

  const engine::Recording& recording_;
  const Numerics numerics_;
  int32_t first_position_ = 0;
  int64_t measured_ = 0;
  int64_t beyond_goal_ = 0;
  double worst_ = 0;
  std::string worst_site_;
};

struct Model {
  std::string name;
  TinyModelOptions options;
};

void PrintTo(const Model& model, std::ostream* out) { *out << model.name; }

std::vector<Model> Models() {
  std::vector<Model> models;
  for (DType dtype :
       {DType::kF32, DType::kF16, DType::kBF16, DType::kQ4_0, DType::kQ4_1, DType::kQ8_0}) {
    TinyModelOptions options = {.head_size = 32, .vocabulary = 321};
    options.matrices = options.embedding = dtype;
    models.push_back({kernels::Traits(dtype).name, options});
  }
  TinyModelOptions wide = {.width = 96,
                           .heads = 6,
                           .kv_heads = 1,
                           .head_size = 16,
                           .feed_forward = 160,
                           .vocabulary = 321,
                           .tied = false,
                           .rope_freqs = true,
                           .biases = true,
                           .matrices = DType::kQ8_0,
                           .output = DType::kQ4_1,
                           .seed = 7};
  models.push_back({"untied_biases_factors", wide});
  for (const char* family : {"qwen2", "qwen3", "gemma3"}) {
    TinyModelOptions options = {.architecture = family, .vocabulary = 321, .window_pattern = 2};
    options.matrices = options.embedding = DType::kQ8_0;
    models.push_back({family, options});
  }
  return models;
}

absl::StatusOr<std::shared_ptr<const model::GgufFile>> Write(const TinyModelOptions& options) {
  const std::string path = ::testing::TempDir() + "/emulated.gguf";
  RETURN_IF_ERROR(WriteTinyModel(options, path));
  ASSIGN_OR_RETURN(std::shared_ptr<const model::GgufFile> file, model::GgufFile::Open(path));
  return file;
}

KvType KvOf(Numerics numerics) { return numerics == Numerics::kF32 ? KvType::kF32 : KvType::kF16; }

absl::StatusOr<std::unique_ptr<engine::Engine>> Cuda(std::shared_ptr<const model::GgufFile> file,
                                                     Numerics numerics,
                                                     Order order = Order::kForward) {
  auto device = std::make_unique<kernels::cuda::emulation::EmulatedDevice>(
      kernels::cuda::emulation::EmulatedOptions{.order = order});
  auto backend = std::make_unique<kernels::cuda::CudaBackend>(
      std::move(device), kernels::cuda::CudaBackendOptions{.numerics = numerics});
  return engine::BackendEngine::Create(std::move(file), std::move(backend),
                                       {.kv_type = KvOf(numerics)});
}

class EmulatedForwardTest : public ::testing::TestWithParam<Model> {};

TEST_P(EmulatedForwardTest, EveryOpAgreesWithTheCpuEngine) {
  const std::vector<int32_t> ids = Ids();
  const Sequence sequence = {.ids = ids, .prompt = kPrompt};
  ASSERT_OK_AND_ASSIGN(const auto file, Write(GetParam().options));
  ASSERT_OK_AND_ASSIGN(auto cpu_backend, kernels::CpuBackend::Create({.numerics = Numerics::kF32}));
  ASSERT_OK_AND_ASSIGN(const auto cpu, engine::BackendEngine::Create(file, std::move(cpu_backend),
                                                                     {.kv_type = KvType::kF32}));
  engine::Recorder reference;
  ASSERT_OK(Follow(*cpu, sequence, &reference));
  for (const Numerics numerics : {Numerics::kF32, Numerics::kNative}) {
    ASSERT_OK_AND_ASSIGN(const auto cuda, Cuda(file, numerics));
    EXPECT_EQ(cuda->info().engine, "cuda");
    BoundedShadow shadow(reference.recording(), numerics);
    ASSERT_OK(Follow(*cuda, sequence, &shadow));
    EXPECT_EQ(shadow.measured(), kTokens * static_cast<int64_t>(cpu->info().checkpoints.size()));
    std::printf("%-22s %-7s %s\n", GetParam().name.c_str(),
                numerics == Numerics::kF32 ? "f32" : "native", shadow.Summary().c_str());
  }
}

INSTANTIATE_TEST_SUITE_P(Models, EmulatedForwardTest, ::testing::ValuesIn(Models()),
                         [](const auto& info) { return info.param.name; });

using Logits = std::vector<std::vector<float>>;

bool SameBits(const Logits& a, const Logits& b) {
  if (a.size() != b.size() || a.empty()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    if (std::memcmp(a[i].data(), b[i].data(), a[i].size() * sizeof(float)) != 0) return false;
  }
  return true;
}

bool LayersLevel(Stage stage, int32_t) {
  return stage == Stage::kLayerOut || stage == Stage::kLogits;
}

TEST(EmulatedBitsTest, NeitherCaptureNorTheOrderOfThreadsNorOthersMatter) {
  const std::vector<int32_t> ids = Ids();
  const Sequence sequence = {.ids = ids, .prompt = kPrompt};
  TinyModelOptions options = {.vocabulary = 321};
  options.matrices = options.embedding = DType::kQ4_1;
  ASSERT_OK_AND_ASSIGN(const auto file, Write(options));
  ASSERT_OK_AND_ASSIGN(const auto cuda, Cuda(file, Numerics::kNative));
  ASSERT_OK_AND_ASSIGN(const Logits plain, Follow(*cuda, sequence, nullptr));
  engine::Recorder layers(LayersLevel), full;
  ASSERT_OK_AND_ASSIGN(const Logits with_layers, Follow(*cuda, sequence, &layers));
  ASSERT_OK_AND_ASSIGN(const Logits with_full, Follow(*cuda, sequence, &full));
  EXPECT_TRUE(SameBits(plain, with_layers));
  EXPECT_TRUE(SameBits(plain, with_full));
  ASSERT_OK_AND_ASSIGN(const auto reverse, Cuda(file, Numerics::kNative, Order::kReverse));
  ASSERT_OK_AND_ASSIGN(const Logits reversed, Follow(*reverse, sequence, nullptr));
  EXPECT_TRUE(SameBits(plain, reversed));

  // Two sessions taking turns.
  ASSERT_OK_AND_ASSIGN(const auto first, cuda->NewSession(kTokens));
  ASSERT_OK_AND_ASSIGN(const auto second, cuda->NewSession(kTokens));
  const std::vector<int32_t> reversed_ids(ids.rbegin(), ids.rend());
  const Sequence other = {.ids = reversed_ids, .prompt = 3};
  std::vector<float> row(cuda->info().vocabulary), unused(row.size());
  Logits shared;
  while (first->position() < kTokens) {
    ASSERT_OK_AND_ASSIGN(const bool wanted,
                         FollowStep(*first, sequence, nullptr, absl::MakeSpan(row)));
    if (wanted) shared.push_back(row);
    ASSERT_OK(FollowStep(*second, other, nullptr, absl::MakeSpan(unused)));
  }
  EXPECT_TRUE(SameBits(plain, shared));
}

}  // namespace
}  // namespace parity::testing
