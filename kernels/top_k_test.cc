#include "kernels/top_k.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace parity::kernels {
namespace {

using ::testing::ElementsAre;

const float kNan = std::numeric_limits<float>::quiet_NaN();
const float kInf = std::numeric_limits<float>::infinity();

std::vector<int32_t> Ids(const std::vector<float>& row, int32_t k) {
  std::vector<int32_t> ids;
  for (const TopValue& value : TopOf(row, k).values) ids.push_back(value.id);
  return ids;
}

TEST(TopKTest, TheLargestComeFirstAndOfEqualOnesTheLowerId) {
  EXPECT_THAT(Ids({1, 3, 3, 2}, 1), ElementsAre(1));
  EXPECT_THAT(Ids({1, 3, 3, 2}, 2), ElementsAre(1, 2));
  EXPECT_THAT(Ids({1, 3, 3, 2}, 9), ElementsAre(1, 2, 3, 0));
  EXPECT_THAT(Ids({-0.0f, 0.0f, -0.0f}, 2), ElementsAre(0, 1)) << "zeros are equal";
}

TEST(TopKTest, NansAreNeverThere) {
  EXPECT_THAT(Ids({kNan, -5, kNan}, 1), ElementsAre(1));
  EXPECT_THAT(Ids({kNan, -kInf, kNan, -kInf}, 3), ElementsAre(1, 3));
  EXPECT_THAT(Ids({kNan, kNan}, 1), ElementsAre());
  EXPECT_THAT(Ids({-kInf, kInf, 5}, 3), ElementsAre(1, 2, 0));
}

TEST(TopKTest, IsTheBeginningOfAStableSort) {
  std::vector<float> row;
  for (int i = 0; i < 5000; ++i) row.push_back(static_cast<float>(i * 7919 % 1009 - i % 3));
  row[77] = kNan;
  std::vector<int32_t> sorted;
  for (int i = 0; i < 5000; ++i) {
    if (i != 77) sorted.push_back(i);
  }
  std::stable_sort(sorted.begin(), sorted.end(),
                   [&](int32_t a, int32_t b) { return row[a] > row[b]; });
  for (const int32_t k : {1, 2, 3, 40, 1000, 4998, 4999, 6000}) {
    const std::vector<int32_t> expected(sorted.begin(), sorted.begin() + std::min(k, 4999));
    EXPECT_EQ(Ids(row, k), expected) << k;
  }
}

TEST(TopKTest, TheSumIsThatOfDoubles) {
  for (const int size : {1, 15, 1023, 1024, 1025, 49152}) {
    std::vector<float> row;
    for (int i = 0; i < size; ++i) row.push_back(20 * std::sin(i * 0.7f) - (i % 97) * 0.5f);
    const float max = *std::max_element(row.begin(), row.end());
    double sum = 0;
    for (const float x : row) sum += std::exp(static_cast<double>(x) - max);
    EXPECT_NEAR(TopOf(row, 1).exp_sum, sum, 6e-6 * sum) << size;
    EXPECT_EQ(TopOf(row, 1).exp_sum, TopOf(row, 40).exp_sum) << size;
  }
}

TEST(TopKTest, TheSumShowsWhatIsNotFinite) {
  EXPECT_TRUE(std::isnan(TopOf({0, kNan}, 1).exp_sum));
  EXPECT_TRUE(std::isnan(TopOf({kInf, kNan}, 1).exp_sum));
  EXPECT_TRUE(std::isnan(TopOf({-kInf, -kInf}, 1).exp_sum));
  EXPECT_EQ(TopOf({0, kInf}, 1).exp_sum, HUGE_VAL);
  EXPECT_EQ(TopOf({0, -kInf}, 1).exp_sum, 1.0) << "what 87 below adds is rounded away";
}

}  // namespace
}  // namespace parity::kernels
