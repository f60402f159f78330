#include "worker/request/sampler.h"

#include <cmath>
#include <limits>
#include <map>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace parity::request {
namespace {

using parity::testing::StatusIs;
using ::testing::HasSubstr;

const float kNan = std::numeric_limits<float>::quiet_NaN();
const float kInf = std::numeric_limits<float>::infinity();

std::map<int32_t, int> Draws(const SamplerOptions& options, const std::vector<float>& logits,
                             int count) {
  Sampler sampler(options);
  std::map<int32_t, int> drawn;
  for (int i = 0; i < count; ++i) ++drawn[sampler.Choose(logits)->id];
  return drawn;
}

float OfRow(const std::vector<float>& logits, int32_t id) {
  return LogProbability(engine::TopLogitsOf(logits, 1), logits[id]);
}

TEST(SamplerTest, GreedyTakesTheFirstLargest) {
  Sampler sampler({});
  EXPECT_EQ(sampler.Choose({1, 3, 3, 2})->id, 1);
  EXPECT_EQ(sampler.Choose({kNan, -5, kNan})->id, 1);
  EXPECT_EQ(sampler.Choose({0, kInf, 5})->id, 1);
}

TEST(SamplerTest, NothingToChooseFromIsAnError) {
  Sampler sampler({});
  EXPECT_THAT(sampler.Choose({kNan, kNan}),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("NaN")));
}

TEST(SamplerTest, TheSameSeedDrawsTheSameTokensAndAnotherDoesNot) {
  const std::vector<float> logits(100, 0.0f);
  const auto sequence = [&](uint64_t seed) {
    Sampler sampler({1.0f, 0, 0, 0, seed});
    std::vector<int32_t> ids;
    for (int i = 0; i < 20; ++i) ids.push_back(sampler.Choose(logits)->id);
    return ids;
  };
  EXPECT_EQ(sequence(1), sequence(1));
  EXPECT_NE(sequence(1), sequence(2));
}

TEST(SamplerTest, TheFirstDrawsAreThoseOfTheStandardsGenerator) {
  // mt19937_64's 10000th output is fixed by the C++ standard, its first with seed 5489 is
  // 14514284786278117030; over four equal tokens that is token floor(4 * 0.7868...) = 3.
  Sampler sampler({1.0f, 0, 0, 0, 5489});
  EXPECT_EQ(sampler.Choose({0, 0, 0, 0})->id, 3);
}

TEST(SamplerTest, DrawsFollowTheSoftmaxAtTheTemperature) {
  // Weights 1 : e^-2 at temperature 0.5 over logits 1 and 0.
  const int n = 20000;
  const auto drawn = Draws({0.5f, 0, 0, 0, 7}, {1, 0}, n);
  const double p = 1 / (1 + std::exp(-2.0));
  // Six standard deviations of a binomial.
  EXPECT_NEAR(drawn.at(0), p * n, 6 * std::sqrt(n * p * (1 - p)));
}

TEST(SamplerTest, TopKTopPAndMinPCutTheTail) {
  const std::vector<float> logits = {std::log(0.1f), std::log(0.5f), std::log(0.25f),
                                     std::log(0.15f)};
  const auto kept = [&](SamplerOptions options) {
    std::vector<int32_t> ids;
    for (const auto& [id, count] : Draws(options, logits, 2000)) ids.push_back(id);
    return ids;
  };
  using ::testing::ElementsAre;
  EXPECT_THAT(kept({1.0f, 2, 0, 0, 3}), ElementsAre(1, 2));
  EXPECT_THAT(kept({1.0f, 0, 0.7f, 0, 3}), ElementsAre(1, 2));
  EXPECT_THAT(kept({1.0f, 0, 0.4f, 0, 3}), ElementsAre(1));
  EXPECT_THAT(kept({1.0f, 0, 0, 0.28f, 3}), ElementsAre(1, 2, 3));
  EXPECT_THAT(kept({1.0f, 0, 1.0f, 0, 3}), ElementsAre(0, 1, 2, 3));
}

TEST(SamplerTest, EqualLogitsAreCutByTheLowestId) {
  EXPECT_THAT(Draws({1.0f, 2, 0, 0, 3}, {0, 0, 0, 0}, 500),
              ::testing::ElementsAre(::testing::Key(0), ::testing::Key(1)));
}

// A row as models leave them, and rows that are all ties, hold NaNs, or have nothing to draw from.
std::vector<std::vector<float>> Rows() {
  std::vector<std::vector<float>> rows(6, std::vector<float>(3000));
  for (int i = 0; i < 3000; ++i) {
    const float value = 9 * std::sin(i * 0.7f) - static_cast<float>(i % 97) * 0.1f;
    for (auto& row : rows) row[i] = value;
    rows[1][i] = std::round(value / 4);
    if (i % 3 == 0) rows[2][i] = kNan;
    rows[3][i] = i < 2990 ? kNan : 1.0f;  // fewer than are asked for
    rows[4][i] = i % 500 == 499 ? kInf : value;
    rows[5][i] = kNan;
  }
  return rows;
}

TEST(SamplerTest, TheLargestLogitsGiveTheSameChoicesAsTheRow) {
  std::vector<SamplerOptions> all = {{}};
  for (const int32_t top_k : {1, 2, 40, engine::kMostTopLogits}) {
    for (const float top_p : {0.0f, 0.3f, 0.9f}) {
      for (const float min_p : {0.0f, 0.2f}) {
        for (const uint64_t seed : {1, 2}) all.push_back({0.8f, top_k, top_p, min_p, seed});
      }
    }
  }
  for (const SamplerOptions& options : all) {
    const int32_t needed = TopNeeded(options);
    ASSERT_EQ(needed, options.temperature == 0 ? 1 : options.top_k);
    Sampler of_row(options), of_top(options);
    for (const std::vector<float>& row : Rows()) {
      const engine::TopLogits top = engine::TopLogitsOf(row, needed);
      for (int draw = 0; draw < 10; ++draw) {
        const auto expected = of_row.Choose(row), chosen = of_top.ChooseTop(top);
        ASSERT_EQ(chosen.status(), expected.status());
        if (!expected.ok()) continue;
        ASSERT_EQ(chosen->id, expected->id) << Describe(options);
        ASSERT_EQ(chosen->logit, row[expected->id]);
      }
    }
  }
}

TEST(SamplerTest, WhatTopKDoesNotCutNeedsTheRow) {
  EXPECT_EQ(TopNeeded({1.0f, 0, 0, 0, 1}), 0);
  EXPECT_EQ(TopNeeded({1.0f, 0, 0.5f, 0.5f, 1}), 0);
  EXPECT_EQ(TopNeeded({1.0f, engine::kMostTopLogits + 1, 0, 0, 1}), 0);
  EXPECT_EQ(TopNeeded({0, engine::kMostTopLogits + 1, 0, 0, 1}), 1) << "greedy";
}

TEST(SamplerTest, LogProbabilityEqualsTheSumInDouble) {
  std::vector<float> logits;
  for (int i = 0; i < 49152; ++i) {
    logits.push_back(20 * std::sin(i * 0.7f) - (i % 97) * 0.5f);
  }
  double sum = 0;
  for (const float logit : logits) sum += std::exp(static_cast<double>(logit) - 20);
  for (const int32_t id : {0, 5, 2244, 49151}) {
    const double expected = logits[id] - 20.0 - std::log(sum);
    // 6e-6 of the sum, and float rounding of the result (|value| < 128: half an ulp is 4e-6).
    EXPECT_NEAR(OfRow(logits, id), expected, 1e-5) << id;
  }
}

TEST(SamplerTest, LogProbabilityShowsWhatIsNotFinite) {
  EXPECT_TRUE(std::isnan(OfRow({0, kNan}, 0)));
  EXPECT_EQ(OfRow({0, kInf}, 1), 0.0f);
  EXPECT_EQ(OfRow({0, kInf}, 0), -kInf);
  EXPECT_EQ(OfRow({0, -kInf}, 0), 0.0f);
}

TEST(SamplerTest, DescribesItself) {
  EXPECT_EQ(Describe({}), "greedy");
  EXPECT_EQ(Describe({0.5f, 40, 0.25f, 0, 9}),
            "temperature=0.5 top_k=40 top_p=0.25 min_p=0 seed=9");
}

}  // namespace
}  // namespace parity::request
