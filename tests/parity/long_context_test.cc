// 2,048 tokens op by op against libllama on the real models; Gemma 3 four times past its window.
#include <gtest/gtest.h>

#include <cstdint>
#include <iostream>
#include <string>
#include <vector>

#include "tests/parity/gemma3.h"
#include "tests/parity/proof.h"
#include "tests/parity/smollm2.h"
#include "tests/testing/status_matchers.h"

namespace parity::testing {
namespace {

constexpr int32_t kTokens = 2048;
constexpr int32_t kSingle = 32;  // the last ones, one by one: attention has llama.cpp's bits there

// The prompts' ids again and again, each time in another order, so that no token sees a copy of its
// own past.
std::vector<int32_t> LongIds(const std::vector<absl::Span<const int32_t>>& prompts) {
  std::vector<int32_t> ids;
  for (int64_t i = 0; i < kTokens; ++i) {
    const auto& prompt = prompts[i / 64 % prompts.size()];
    const int64_t stride = 2 * (i / 64) + 1;  // odd: every id once
    ids.push_back(prompt[i * stride % 64]);
  }
  return ids;
}

void ExpectAgreement(const std::string& path, const std::vector<int32_t>& ids) {
  const Sequence sequence = {.ids = ids, .prompt = kTokens - kSingle, .piece = 48};
  const auto found = ShadowInLockstep(path, sequence);
  ASSERT_OK(found);
  std::cout << "pieces of 48\n" << found->pieces.Table() << "one by one\n" << found->single.Table();
  for (const ShadowFindings* part : {&found->pieces, &found->single}) {
    EXPECT_EQ(part->unmeasured, 0);
    for (const SiteError& site : part->sites) {
      // Prefill's scores stand in another order in llama.cpp: probabilities flip.
      const bool flips = part == &found->pieces && site.stage == Stage::kAttnContext;
      EXPECT_LE(site.nmse, flips ? kContextFlipFloor : kShadowFloor)
          << site.Name() << " position " << site.position;
    }
  }
  EXPECT_GT(found->single.measured, 0);
  EXPECT_GT(found->pieces.measured, 0);
}

TEST(LongContextTest, SmolLM2) {
  if (const std::string why = WhyNoSmolLM2(); !why.empty()) GTEST_SKIP() << why;
  std::vector<absl::Span<const int32_t>> prompts;
  for (int i = 0; i < kPrompts; ++i) prompts.push_back(SmolLM2Sequence(i).ids);
  ExpectAgreement(SmolLM2Path(), LongIds(prompts));
}

TEST(LongContextTest, Gemma3PastItsWindow) {
  if (const std::string why = WhyNoGemma3(); !why.empty()) GTEST_SKIP() << why;
  std::vector<absl::Span<const int32_t>> prompts;
  for (int i = 0; i < kGemmaPrompts; ++i) prompts.push_back(Gemma3Sequence(i).ids);
  ExpectAgreement(Gemma3Path(), LongIds(prompts));
}

}  // namespace
}  // namespace parity::testing
