// The cuda engine on a card with real models, where they are: each op over the inputs that the cpu
// engine's f32 numerics record here (they have the same bits on every machine, so nothing need
// travel but the model), and the same bits however it is asked.
//
// Models are looked for in $PARITY_GPU_MODELS, else where deploy/fetch puts them.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "kernels/cpu/cpu_backend.h"
#include "proto/status/status_macros.h"
#include "tests/gpu/bounded_shadow.h"
#include "tests/gpu/card.h"
#include "tests/parity/follow.h"
#include "tests/testing/status_matchers.h"
#include "worker/engine/backend_engine.h"
#include "worker/engine/recorder.h"
#include "worker/model/gguf_file.h"
#include "worker/tokenizer/tokenizer.h"

namespace parity::testing {
namespace {

using checkpoint::Stage;
using kernels::KvType;
using kernels::Numerics;
using Logits = std::vector<std::vector<float>>;

constexpr int32_t kPrompt = 40;  // one dense step; the others are fed one by one
constexpr int32_t kTokens = 64;

constexpr char kText[] =
    "The harbour was quiet that morning. A single boat, its sails patched with grey cloth, drifted "
    "towards the old stone pier where three fishermen sat mending their nets and talking about the "
    "price of salt, the weather, and a letter that had come from the city two days before, which "
    "nobody had yet dared to open.";

struct RealModel {
  const char* name;
  const char* file;
};

void PrintTo(const RealModel& model, std::ostream* out) { *out << model.name; }

std::string Folder() {
  if (const char* const chosen = std::getenv("PARITY_GPU_MODELS")) return chosen;
  const char* const cache = std::getenv("XDG_CACHE_HOME");
  const char* const home = std::getenv("HOME");
  if (cache != nullptr && *cache != '\0') return absl::StrCat(cache, "/parity");
  return absl::StrCat(home != nullptr ? home : "", "/.cache/parity");
}

class RealModelTest : public ::testing::TestWithParam<RealModel> {
 protected:
  void SetUp() override {
    if (const auto card = OpenCard({}); !card.ok()) GTEST_SKIP() << card.status().message();
    const std::string path = absl::StrCat(Folder(), "/", GetParam().file);
    if (access(path.c_str(), R_OK) != 0) GTEST_SKIP() << "no " << path;
    ASSERT_OK_AND_ASSIGN(file_, model::GgufFile::Open(path));
    ASSERT_OK_AND_ASSIGN(const auto tokenizer, tokenizer::Tokenizer::Create(*file_));
    ASSERT_OK_AND_ASSIGN(ids_, tokenizer->Encode(kText, {}));
    ASSERT_GE(ids_.size(), kTokens);
    ids_.resize(kTokens);
    sequence_.ids = ids_;
  }

  absl::StatusOr<std::unique_ptr<engine::Engine>> Cuda(Numerics numerics) {
    ASSIGN_OR_RETURN(auto card, OpenCard({.numerics = numerics}));
    const KvType kv = numerics == Numerics::kF32 ? KvType::kF32 : KvType::kF16;
    return engine::BackendEngine::Create(file_, std::move(card), {.kv_type = kv});
  }

  std::shared_ptr<const model::GgufFile> file_;
  std::vector<int32_t> ids_;
  Sequence sequence_ = {.prompt = kPrompt};
};

TEST_P(RealModelTest, EveryOpAgreesWithTheCpuEngine) {
  const int threads = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  ASSERT_OK_AND_ASSIGN(
      auto backend, kernels::CpuBackend::Create({.threads = threads, .numerics = Numerics::kF32}));
  ASSERT_OK_AND_ASSIGN(const auto cpu, engine::BackendEngine::Create(file_, std::move(backend),
                                                                     {.kv_type = KvType::kF32}));
  engine::Recorder reference;
  ASSERT_OK(Follow(*cpu, sequence_, &reference));
  for (const Numerics numerics : {Numerics::kF32, Numerics::kNative}) {
    ASSERT_OK_AND_ASSIGN(const auto cuda, Cuda(numerics));
    BoundedShadow shadow(reference.recording(), numerics, kRealModelContext);
    ASSERT_OK(Follow(*cuda, sequence_, &shadow));
    EXPECT_EQ(shadow.measured(), kTokens * static_cast<int64_t>(cpu->info().checkpoints.size()));
    std::printf("FIGURE %s %s shadow: %s\n", GetParam().name,
                numerics == Numerics::kF32 ? "f32" : "native", shadow.Summary().c_str());
  }
}

TEST_P(RealModelTest, NeitherRepeatingNorCaptureChangesABit) {
  ASSERT_OK_AND_ASSIGN(const auto cuda, Cuda(Numerics::kNative));
  ASSERT_OK_AND_ASSIGN(const Logits plain, Follow(*cuda, sequence_, nullptr));
  ASSERT_OK_AND_ASSIGN(const Logits again, Follow(*cuda, sequence_, nullptr));
  engine::Recorder full;
  ASSERT_OK_AND_ASSIGN(const Logits captured, Follow(*cuda, sequence_, &full));
  ASSERT_EQ(plain.size(), kTokens - kPrompt + 1);
  for (const Logits* other : {&again, &captured}) {
    ASSERT_EQ(other->size(), plain.size());
    for (size_t i = 0; i < plain.size(); ++i) {
      EXPECT_EQ(std::memcmp(plain[i].data(), (*other)[i].data(), plain[i].size() * sizeof(float)),
                0)
          << "logits " << i;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Models, RealModelTest,
                         ::testing::Values(RealModel{"SmolLM2", "SmolLM2-135M-Instruct.Q4_1.gguf"},
                                           RealModel{"Gemma3", "gemma3-270m-q4_k_m.gguf"}),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace parity::testing
