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
  for (int i = 0; i < count; ++i) ++drawn[*sampler.Choose(logits)];
  return drawn;
}

TEST(SamplerTest, GreedyTakesTheFirstLargest) {
  Sampler sampler({});
  EXPECT_EQ(*sampler.Choose({1, 3, 3, 2}), 1);
  EXPECT_EQ(*sampler.Choose({kNan, -5, kNan}), 1);
  EXPECT_EQ(*sampler.Choose({0, kInf, 5}), 1);
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
    for (int i = 0; i < 20; ++i) ids.push_back(*sampler.Choose(logits));
    return ids;
  };
  EXPECT_EQ(sequence(1), sequence(1));
  EXPECT_NE(sequence(1), sequence(2));
}

TEST(SamplerTest, TheFirstDrawsAreThoseOfTheStandardsGenerator) {
  // mt19937_64's 10000th output is fixed by the C++ standard, its first with seed 5489 is
  // 14514284786278117030; over four equal tokens that is token floor(4 * 0.7868...) = 3.
  Sampler sampler({1.0f, 0, 0, 0, 5489});
  EXPECT_EQ(*sampler.Choose({0, 0, 0, 0}), 3);
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

TEST(SamplerTest, LogProbabilityEqualsTheSumInDouble) {
  std::vector<float> logits;
  for (int i = 0; i < 49152; ++i) {
    logits.push_back(20 * std::sin(i * 0.7f) - (i % 97) * 0.5f);
  }
  double sum = 0;
  for (const float logit : logits) sum += std::exp(static_cast<double>(logit) - 20);
  for (const int32_t id : {0, 5, 2244, 49151}) {
    const double expected = logits[id] - 20.0 - std::log(sum);
    // 1e-6 of the sum, and float rounding of the result (|value| < 128: half an ulp is 4e-6).
    EXPECT_NEAR(LogProbability(logits, id), expected, 5e-6) << id;
  }
}

TEST(SamplerTest, LogProbabilityShowsWhatIsNotFinite) {
  EXPECT_TRUE(std::isnan(LogProbability({0, kNan}, 0)));
  EXPECT_EQ(LogProbability({0, kInf}, 1), 0.0f);
  EXPECT_EQ(LogProbability({0, kInf}, 0), -kInf);
  EXPECT_EQ(LogProbability({0, -kInf}, 0), 0.0f);
}

TEST(SamplerTest, DescribesItself) {
  EXPECT_EQ(Describe({}), "greedy");
  EXPECT_EQ(Describe({0.5f, 40, 0.25f, 0, 9}),
            "temperature=0.5 top_k=40 top_p=0.25 min_p=0 seed=9");
}

}  // namespace
}  // namespace parity::request
