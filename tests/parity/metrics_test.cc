// Expected values were worked out by hand.
#include "tests/parity/metrics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

namespace parity::testing {
namespace {

using Values = std::vector<float>;
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

TEST(MetricsTest, NmseDividesByTheReference) {
  EXPECT_DOUBLE_EQ(Nmse(Values{3, 4}, Values{3, 5}), 1.0 / 25);
  EXPECT_DOUBLE_EQ(Nmse(Values{3, 5}, Values{3, 4}), 1.0 / 34);
  EXPECT_EQ(Nmse(Values{0, 0}, Values{0, 0}), 0);
  EXPECT_TRUE(std::isinf(Nmse(Values{0, 0}, Values{0, 1})));
  EXPECT_TRUE(std::isinf(Nmse(Values{1, 1}, Values{1, kNan})));
  EXPECT_TRUE(std::isinf(Nmse(Values{1, 1}, Values{1})));
}

TEST(MetricsTest, MaxAbsFindsTheLargest) {
  EXPECT_EQ(MaxAbs(Values{1, -2, 3}, Values{1.5, 2, 3}), 4);
  EXPECT_TRUE(std::isinf(MaxAbs(Values{1, 2}, Values{1, kNan})));
}

TEST(MetricsTest, KlOfTwoBernoullis) {
  // p = (1/2, 1/2), q = (3/4, 1/4).
  const Values p = {0, 0}, q = {std::log(3.0f), 0};
  EXPECT_NEAR(KlDivergence(p, q), 0.5 * std::log(2.0 / 3) + 0.5 * std::log(2.0), 1e-7);
  EXPECT_NEAR(KlDivergence(p, Values{7, 7}), 0, 1e-12);
}

TEST(MetricsTest, ComparisonAveragesRows) {
  LogitsComparison comparison;
  comparison.Add(Values{3, 4}, Values{3, 5});
  comparison.Add(Values{3, 4}, Values{4, 3});
  const LogitsDistance d = comparison.Result();
  EXPECT_EQ(d.rows, 2);
  EXPECT_EQ(d.top1_equal, 1);
  EXPECT_DOUBLE_EQ(d.nmse_max, 2.0 / 25);
  EXPECT_DOUBLE_EQ(d.nmse_mean, 1.5 / 25);
  EXPECT_GT(d.kl_max, d.kl_mean);
}

}  // namespace
}  // namespace parity::testing
