// The cpu engine's bits: the same logits whatever is captured, however the prompt is cut, whoever
// else is served, on any thread count and any SIMD path.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "kernels/cpu/cpu_backend.h"
#include "tests/parity/follow.h"
#include "tests/parity/smollm2.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/tiny_model.h"
#include "worker/engine/backend_engine.h"
#include "worker/engine/recorder.h"

namespace parity::testing {
namespace {

using engine::Stage;
using kernels::SimdPath;
using Logits = std::vector<std::vector<float>>;

bool SameBits(const Logits& a, const Logits& b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    if (a[i].size() != b[i].size() ||
        std::memcmp(a[i].data(), b[i].data(), a[i].size() * sizeof(float)) != 0) {
      return false;
    }
  }
  return !a.empty();
}

bool LayersLevel(Stage stage, int32_t) {
  return stage == Stage::kEmbed || stage == Stage::kLayerOut || stage == Stage::kFinalNorm ||
         stage == Stage::kLogits;
}

Logits LogitsOf(engine::Engine& engine, Sequence sequence, int32_t piece,
                engine::Observer* observer = nullptr) {
  sequence.piece = piece;
  auto logits = Follow(engine, sequence, observer);
  EXPECT_OK(logits);
  return logits.ok() ? *std::move(logits) : Logits();
}

// Two sessions taking turns, the first in pieces of 7 and with a full capture.
Logits RunInterleaved(engine::Engine& engine, Sequence sequence) {
  auto first = engine.NewSession(static_cast<int32_t>(sequence.ids.size()));
  auto second = engine.NewSession(static_cast<int32_t>(sequence.ids.size()));
  EXPECT_OK(first);
  EXPECT_OK(second);
  std::vector<int32_t> reversed(sequence.ids.rbegin(), sequence.ids.rend());
  Sequence other = {.ids = reversed, .prompt = 2};
  sequence.piece = 7;
  engine::Recorder recorder;
  std::vector<float> row(engine.info().vocabulary);
  Logits logits;
  while ((*first)->position() < (*first)->capacity()) {
    const auto wanted = FollowStep(**first, sequence, &recorder, absl::MakeSpan(row));
    EXPECT_OK(wanted);
    if (!wanted.ok()) return {};
    if (*wanted) logits.push_back(row);
    if ((*second)->position() < (*second)->capacity()) {
      EXPECT_OK(FollowStep(**second, other, nullptr, absl::MakeSpan(row)));
    }
  }
  return logits;
}

// Everything that must not matter, on one engine; `expected` are the logits of the plain run.
void ExpectSameBitsHoweverAsked(engine::Engine& engine, const Sequence& sequence,
                                const Logits& expected) {
  engine::Recorder layers(LayersLevel), full;
  EXPECT_TRUE(SameBits(expected, LogitsOf(engine, sequence, 0))) << "repeated";
  EXPECT_TRUE(SameBits(expected, LogitsOf(engine, sequence, 0, &layers))) << "capture layers";
  EXPECT_TRUE(SameBits(expected, LogitsOf(engine, sequence, 0, &full))) << "capture full";
  EXPECT_TRUE(SameBits(expected, LogitsOf(engine, sequence, 7))) << "pieces of 7";
  EXPECT_TRUE(SameBits(expected, LogitsOf(engine, sequence, 1))) << "token by token";
  EXPECT_TRUE(SameBits(expected, RunInterleaved(engine, sequence))) << "interleaved";
}

TEST(BitsTest, SmolLM2) {
  if (access(SmolLM2Path().c_str(), R_OK) != 0) GTEST_SKIP() << "no " << SmolLM2Path();
  // 19 tokens are no multiple of any tile or piece; 4 decoded.
  const Sequence sequence = {.ids = SmolLM2Sequence(0).ids.subspan(0, 23), .prompt = 19};
  Logits expected;
  {
    ASSERT_OK_AND_ASSIGN(const auto engine, CpuEngine({.threads = 1}));
    expected = LogitsOf(*engine, sequence, 0);
    ExpectSameBitsHoweverAsked(*engine, sequence, expected);
  }
  for (int threads : {2, 3}) {
    ASSERT_OK_AND_ASSIGN(const auto engine, CpuEngine({.threads = threads}));
    EXPECT_TRUE(SameBits(expected, LogitsOf(*engine, sequence, 0))) << threads << " threads";
    EXPECT_TRUE(SameBits(expected, LogitsOf(*engine, sequence, 7)))
        << threads << " threads, pieces";
  }
  for (SimdPath path :
       {SimdPath::kScalar, SimdPath::kAvx2, SimdPath::kAvx512, SimdPath::kAvx512Vnni}) {
    if (!kernels::Supported(path)) continue;
    ASSERT_OK_AND_ASSIGN(const auto engine, CpuEngine({.threads = 2, .path = path}));
    EXPECT_TRUE(SameBits(expected, LogitsOf(*engine, sequence, 0))) << kernels::Name(path);
  }
}

struct TinyCase {
  kernels::DType dtype;
  kernels::Numerics numerics;
  kernels::KvType kv_type;
};

class TinyBitsTest : public ::testing::TestWithParam<TinyCase> {};

TEST_P(TinyBitsTest, NothingMatters) {
  TinyModelOptions options;
  options.matrices = options.embedding = GetParam().dtype;
  options.vocabulary = 321;
  const std::string bytes = TinyModel(options).Serialize();
  ASSERT_OK_AND_ASSIGN(std::shared_ptr<const model::GgufFile> file,
                       model::GgufFile::FromBytes(
                           "tiny", {reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()}));
  std::vector<int32_t> ids;
  for (int i = 0; i < 31; ++i) ids.push_back((i * 53 + 7) % 320);
  const Sequence sequence = {.ids = ids, .prompt = 23};
  Logits expected;
  for (SimdPath path :
       {SimdPath::kScalar, SimdPath::kAvx2, SimdPath::kAvx512, SimdPath::kAvx512Vnni}) {
    if (!kernels::Supported(path)) continue;
    for (int threads : {1, 3}) {
      SCOPED_TRACE(absl::StrCat(kernels::Name(path), " ", threads, " threads"));
      ASSERT_OK_AND_ASSIGN(
          const auto engine,
          CpuEngine({.threads = threads, .numerics = GetParam().numerics, .path = path},
                    GetParam().kv_type, file));
      if (expected.empty()) expected = LogitsOf(*engine, sequence, 0);
      ExpectSameBitsHoweverAsked(*engine, sequence, expected);
    }
  }
}

std::vector<TinyCase> TinyCases() {
  std::vector<TinyCase> cases;
  for (kernels::DType dtype :
       {kernels::DType::kF32, kernels::DType::kF16, kernels::DType::kBF16, kernels::DType::kQ4_0,
        kernels::DType::kQ4_1, kernels::DType::kQ8_0}) {
    cases.push_back({dtype, kernels::Numerics::kNative, kernels::KvType::kF16});
    cases.push_back({dtype, kernels::Numerics::kNative, kernels::KvType::kF32});
    cases.push_back({dtype, kernels::Numerics::kF32, kernels::KvType::kF32});
  }
  return cases;
}

INSTANTIATE_TEST_SUITE_P(Types, TinyBitsTest, ::testing::ValuesIn(TinyCases()),
                         [](const auto& info) {
                           return absl::StrCat(
                               kernels::Traits(info.param.dtype).name,
                               info.param.numerics == kernels::Numerics::kF32 ? "_f32" : "_native",
                               info.param.kv_type == kernels::KvType::kF32 ? "_kv32" : "_kv16");
                         });

}  // namespace
}  // namespace parity::testing
