#include "kernels/cpu/vector_ops.h"

#include <bit>
#include <cmath>
#include <limits>
#include <vector>

#include "gtest/gtest.h"
#include "kernels/half.h"

namespace parity::kernels {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

class VectorOpsTest : public testing::TestWithParam<SimdPath> {
 protected:
  void SetUp() override {
    if (!Supported(GetParam())) GTEST_SKIP() << "this machine has no " << Name(GetParam());
    ops_ = &VectorOpsFor(GetParam());
  }
  const VectorOps* ops_ = nullptr;
};

TEST_P(VectorOpsTest, FloatExpIsWithinTwoUlps) {
  for (float x = -87.0f; x < 88.0f; x += 0.00713f) {
    float y;
    ops_->exp_float(&x, 1, &y);
    const double exact = std::exp(static_cast<double>(x));
    EXPECT_LE(std::fabs(y - exact), 2 * 0x1p-23 * exact) << x;
  }
}

TEST_P(VectorOpsTest, FloatExpAtTheEndsOfItsRange) {
  const std::vector<float> x = {0.0f,    -0.0f,  89.0f,      1e30f,        kInfinity,
                                -104.0f, -1e30f, -kInfinity, std::nanf("")};
  std::vector<float> y(x.size());
  ops_->exp_float(x.data(), x.size(), y.data());
  EXPECT_EQ(y[0], 1.0f);
  EXPECT_EQ(y[1], 1.0f);
  for (int i : {2, 3, 4}) EXPECT_EQ(y[i], kInfinity) << x[i];
  for (int i : {5, 6, 7}) EXPECT_EQ(y[i], 0.0f) << x[i];
  EXPECT_TRUE(std::isnan(y[8]));
  // Subnormal results keep an absolute error of one smallest step.
  for (float v = -103.0f; v < -87.0f; v += 0.01f) {
    float e;
    ops_->exp_float(&v, 1, &e);
    EXPECT_NEAR(e, std::exp(static_cast<double>(v)), 0x1p-149 + 2 * 0x1p-23 * e) << v;
  }
}

TEST_P(VectorOpsTest, RoundsThroughHalvesWhateverTheLength) {
  for (int64_t n : {1, 7, 8, 64, 101}) {
    std::vector<float> x(n), y(n + 1, 5.0f);
    for (int64_t i = 0; i < n; ++i) x[i] = std::ldexp(1.0f + 0.0123f * i, i % 40 - 26);
    x[n / 2] = -kInfinity;
    ops_->through_halves(x.data(), n, y.data());
    for (int64_t i = 0; i < n; ++i) EXPECT_EQ(y[i], RoundToHalf(x[i])) << i;
    EXPECT_EQ(y[n], 5.0f);
  }
}

TEST_P(VectorOpsTest, AddsInPlaceToo) {
  for (int64_t n : {1, 7, 8, 64, 101}) {
    std::vector<float> a(n), b(n), out(n + 1, 5.0f);
    for (int64_t i = 0; i < n; ++i) {
      a[i] = 1.0f / static_cast<float>(i + 1);
      b[i] = 1e-7f * static_cast<float>(i);
    }
    ops_->add(a.data(), b.data(), n, out.data());
    for (int64_t i = 0; i < n; ++i) EXPECT_EQ(out[i], a[i] + b[i]) << i;
    EXPECT_EQ(out[n], 5.0f);
    ops_->add(a.data(), b.data(), n, a.data());
    EXPECT_EQ(std::vector<float>(out.begin(), out.begin() + n), a);
  }
}

TEST_P(VectorOpsTest, DoubleExpIsWithinTwoUlps) {
  for (double x = -707.9; x < 708.9; x += 0.0371) {
    double y;
    ops_->exp_double(&x, 1, &y);
    const long double exact = std::exp(static_cast<long double>(x));
    EXPECT_LE(std::fabs(y - exact), 2 * 0x1p-52L * exact) << x;
  }
  const std::vector<double> x = {0.0, 710.0, HUGE_VAL, -710.0, -HUGE_VAL, std::nan("")};
  std::vector<double> y(x.size());
  ops_->exp_double(x.data(), x.size(), y.data());
  EXPECT_EQ(y[0], 1.0);
  EXPECT_EQ(y[1], HUGE_VAL);
  EXPECT_EQ(y[2], HUGE_VAL);
  EXPECT_EQ(y[3], 0.0);
  EXPECT_EQ(y[4], 0.0);
  EXPECT_TRUE(std::isnan(y[5]));
}

TEST_P(VectorOpsTest, ExpHasTheScalarPathsBits) {
  std::vector<float> x;
  for (uint64_t bits = 0; bits < 1ull << 32; bits += 16381) {  // a prime step visits every exponent
    const float value = std::bit_cast<float>(static_cast<uint32_t>(bits));
    if (!std::isnan(value)) x.push_back(value);
  }
  std::vector<float> scalar(x.size()), ours(x.size());
  ScalarVectorOps().exp_float(x.data(), x.size(), scalar.data());
  ops_->exp_float(x.data(), x.size(), ours.data());
  for (size_t i = 0; i < x.size(); ++i) {
    ASSERT_EQ(std::bit_cast<uint32_t>(scalar[i]), std::bit_cast<uint32_t>(ours[i])) << x[i];
  }
}

TEST_P(VectorOpsTest, ToHalvesRoundsToNearestEven) {
  std::vector<float> x;
  for (uint64_t bits = 0; bits < 1ull << 32; bits += 16411) {
    x.push_back(std::bit_cast<float>(static_cast<uint32_t>(bits)));
  }
  std::vector<uint16_t> halves(x.size());
  ops_->to_halves(x.data(), x.size(), halves.data());
  for (size_t i = 0; i < x.size(); ++i) ASSERT_EQ(halves[i], FloatToHalf(x[i])) << x[i];
}

TEST_P(VectorOpsTest, SoftmaxOfARangeSumsToOneAndIgnoresItsNeighbours) {
  for (int64_t begin : {0, 3, 8, 15}) {
    for (int64_t end : {16, 17, 23, 40}) {
      std::vector<float> s(48, 1e30f);  // what lies outside the range must not count
      for (int64_t i = begin; i < end; ++i) s[i] = static_cast<float>(i % 7) - 3.0f;
      ops_->native_f32.softmax(s.data(), begin, end, 0.5f, false);
      double sum = 0;
      for (int64_t i = begin; i < end; ++i) sum += s[i];
      EXPECT_NEAR(sum, 1.0, (end - begin) * 0x1p-24) << begin << ".." << end;
      for (int64_t i = begin + 1; i < end; ++i) {
        const double ratio = std::log(static_cast<double>(s[i]) / s[i - 1]);
        EXPECT_NEAR(ratio, static_cast<double>(i % 7 - (i - 1) % 7) * 0.5, 1e-6) << i;
      }
    }
  }
}

TEST_P(VectorOpsTest, ANanScoreMakesEveryProbabilityNan) {
  std::vector<float> s(16, 1.0f);
  s[5] = std::nanf("");
  ops_->native_f16.softmax(s.data(), 0, 10, 1.0f, true);
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(std::isnan(s[i])) << i;
}

INSTANTIATE_TEST_SUITE_P(Paths, VectorOpsTest, testing::Values(SimdPath::kScalar, SimdPath::kAvx2),
                         [](const auto& info) { return std::string(Name(info.param)); });

}  // namespace
}  // namespace parity::kernels
