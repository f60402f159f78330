#include "collector/compare/identity_gate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

namespace parity::compare {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;

// Token records with these (position, input token id) pairs.
std::vector<v1::TokenRecord> Tokens(const std::vector<std::pair<int, int>>& ids) {
  std::vector<v1::TokenRecord> tokens;
  for (const auto& [position, id] : ids) {
    tokens.emplace_back().set_position(position);
    tokens.back().set_input_token_id(id);
  }
  return tokens;
}

v1::Provenance OfModel(const std::string& sha256) {
  v1::Provenance provenance;
  provenance.set_model_sha256(sha256);
  return provenance;
}

TEST(IdentityGateTest, TheSameTokensOfTheSameModelAreAllComparable) {
  const auto tokens = Tokens({{0, 5}, {1, 6}});
  const Identity identity = CheckIdentity(OfModel("ab"), OfModel("ab"), tokens, tokens);
  EXPECT_EQ(identity.first_incomparable(), Identity::kNone);
  EXPECT_THAT(identity.lines, Contains("tokens: the same ids at 2 positions"));
}

TEST(IdentityGateTest, AnotherModelMakesNothingComparable) {
  const auto tokens = Tokens({{0, 5}});
  const Identity identity = CheckIdentity(OfModel("ab"), OfModel("cd"), tokens, tokens);
  EXPECT_TRUE(identity.other_model);
  EXPECT_EQ(identity.first_incomparable(), 0);
}

TEST(IdentityGateTest, AModelThatIsNotKnownIsSaidNotAssumedToDiffer) {
  const auto tokens = Tokens({{0, 5}});
  const Identity identity = CheckIdentity(OfModel("ab"), OfModel(""), tokens, tokens);
  EXPECT_FALSE(identity.other_model);
  EXPECT_THAT(identity.lines, Contains(HasSubstr("the model is not verified")));
}

TEST(IdentityGateTest, OtherIdsEndTheComparisonAtTheFirstPositionOfBothSides) {
  // Position 1 is on one side only and 2 is not known on the other: neither is a mismatch.
  const Identity identity = CheckIdentity({}, {}, Tokens({{0, 5}, {1, 6}, {2, 7}, {4, 8}, {5, 1}}),
                                          Tokens({{0, 5}, {2, -1}, {4, 9}, {5, 2}}));
  EXPECT_EQ(identity.first_token_mismatch, 4);
  EXPECT_EQ(identity.first_incomparable(), 4);
  EXPECT_THAT(identity.lines,
              Contains(HasSubstr("at position 4 the reference was fed 8, the candidate 9")));
}

TEST(IdentityGateTest, WhatDiffersLegitimatelyIsALineAndNoMore) {
  const auto tokens = Tokens({{0, 5}});
  v1::Provenance a = OfModel("ab"), b = OfModel("ab");
  a.set_kv_type("f16");
  b.set_kv_type("f32");
  const Identity identity = CheckIdentity(a, b, tokens, tokens);
  EXPECT_EQ(identity.first_incomparable(), Identity::kNone);
  EXPECT_THAT(identity.lines, Contains(HasSubstr("kv_type: f16 against f32 (legitimate")));
  EXPECT_THAT(identity.lines, Not(Contains(HasSubstr("attention"))));
}

TEST(IdentityGateTest, WhatOneSideDoesNotSayIsNoDifference) {
  const auto tokens = Tokens({{0, 5}});
  v1::Provenance engine = OfModel("ab");
  engine.set_architecture("llama");
  engine.set_weight_type("Q4_1");
  engine.set_prefill_tokens_per_step(256);
  const Identity identity = CheckIdentity(v1::Provenance(), engine, tokens, tokens);
  for (const char* line :
       {"architecture: not known against llama (one side does not say)",
        "weight_type: not known against Q4_1 (one side does not say)",
        "prefill_tokens_per_step: not known against 256 (one side does not say)"}) {
    EXPECT_THAT(identity.lines, Contains(line));
  }
}

}  // namespace
}  // namespace parity::compare
