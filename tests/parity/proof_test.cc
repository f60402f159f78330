// Every family with every weight type this build computes, op by op against libllama.
#include "tests/parity/proof.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <string>
#include <tuple>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/parity/gemma3.h"
#include "tests/parity/smollm2.h"
#include "tests/testing/status_matchers.h"

namespace parity::testing {
namespace {

// One row's probabilities have llama.cpp's bits on an AVX2 build of it; where its sums stand in
// another order (AVX-512) one flipped probability in a row of 40 shows as up to 2^-22 of its share.
constexpr double kContextFloor = 1e-8;

// End to end one flipped rounding grows to the same plateau whatever flipped it, the cache's type
// or a sum's order: within a factor of what llama.cpp shows against itself on this very file.
constexpr double kChaos = 3;

using Case = std::tuple<const char*, kernels::DType>;

class ProofTest : public ::testing::TestWithParam<Case> {};

TEST_P(ProofTest, AgreesWithLlamaOpByOp) {
  const auto [family, dtype] = GetParam();
  const std::string path = ::testing::TempDir() + "/proof.gguf";
  if (const auto llama = ShadowInLockstep("", {}); absl::IsUnimplemented(llama.status())) {
    GTEST_SKIP() << llama.status().message();
  }
  const TinyModelOptions model = ProofModel(family, dtype);
  ASSERT_OK(WriteTinyModel(model, path));
  ASSERT_OK_AND_ASSIGN(const Proof proof, Prove(path, ProofSequence()));
  std::printf(
      "%-7s %-7s H/G %d/%d worst %.2e %-22s context %.1e, batch %.1e (unexplained %.1e)  "
      "end to end %.2e, llama.cpp f16/f32 KV %.2e\n",
      family, kernels::Traits(dtype).name, model.heads, model.kv_heads, proof.worst.nmse,
      proof.worst.Name().c_str(), proof.context.nmse, proof.context_batch.nmse,
      proof.context_batch.unexplained, proof.ours.nmse_mean, proof.floor.nmse_mean);
  EXPECT_TRUE(proof.Complete()) << proof.measured << " of " << proof.values;
  EXPECT_LE(proof.worst.nmse, kShadowFloor) << proof.worst.Name() << " " << proof.worst.position;
  EXPECT_LE(proof.context.nmse, kContextFloor) << proof.context.Name();
  EXPECT_LE(proof.context_batch.unexplained, kShadowFloor) << proof.context_batch.Name();
  EXPECT_LE(proof.ours.nmse_mean, kChaos * proof.floor.nmse_mean);
}

// Both shadow runs over real files, where chaos hides everything else.
void ExpectProved(const std::string& path, const Sequence& sequence) {
  ASSERT_OK_AND_ASSIGN(const Proof proof, Prove(path, sequence));
  std::printf(
      "worst %.2e %s, context %.1e, batch %.1e (unexplained %.1e), end to end %.2e, "
      "llama.cpp f16/f32 KV %.2e\n",
      proof.worst.nmse, proof.worst.Name().c_str(), proof.context.nmse, proof.context_batch.nmse,
      proof.context_batch.unexplained, proof.ours.nmse_mean, proof.floor.nmse_mean);
  EXPECT_TRUE(proof.Complete()) << proof.measured << " of " << proof.values;
  EXPECT_LE(proof.worst.nmse, kShadowFloor) << proof.worst.Name() << " " << proof.worst.position;
  EXPECT_LE(proof.context.nmse, kContextFloor) << proof.context.Name();
  EXPECT_LE(proof.context_batch.unexplained, kShadowFloor) << proof.context_batch.Name();
  EXPECT_LE(proof.ours.nmse_mean, kChaos * proof.floor.nmse_mean);
}

TEST(RealProofTest, SmolLM2) {
  if (const std::string why = WhyNoSmolLM2(); !why.empty()) GTEST_SKIP() << why;
  ExpectProved(SmolLM2Path(), SmolLM2Sequence(1));
}

TEST(RealProofTest, Gemma3) {
  if (const std::string why = WhyNoGemma3(); !why.empty()) GTEST_SKIP() << why;
  ExpectProved(Gemma3Path(), Gemma3Sequence(0));
}

std::vector<Case> Cases() {
  std::vector<Case> cases;
  for (const char* family : kFamilies) {
    for (const kernels::DTypeTraits& traits : kernels::AllDTypes()) {
      if (traits.computable) cases.emplace_back(family, traits.dtype);
    }
  }
  return cases;
}

INSTANTIATE_TEST_SUITE_P(Models, ProofTest, ::testing::ValuesIn(Cases()), [](const auto& info) {
  return absl::StrCat(std::get<0>(info.param), "_", kernels::Traits(std::get<1>(info.param)).name);
});

}  // namespace
}  // namespace parity::testing
