#include "collector/compare/pair_metrics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <fstream>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "collector/compare/emulated_pair_kernel.h"

namespace parity::compare {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInf = std::numeric_limits<float>::infinity();

absl::string_view Bytes(const std::vector<float>& v) {
  return {reinterpret_cast<const char*>(v.data()), v.size() * sizeof(float)};
}
Payload F32(const std::vector<float>& v) { return {v1::DTYPE_F32, Bytes(v)}; }

std::vector<const PairKernel*> Kernels() {
  std::vector<const PairKernel*> kernels = {&ScalarPairKernel()};
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
    kernels.push_back(&Avx2PairKernel());
    kernels.push_back(&EmulatedAvx512PairKernel());
  }
  if (&BestPairKernel() == &Avx512PairKernel()) kernels.push_back(&Avx512PairKernel());
  return kernels;
}

// Every hand-derived case holds at every SIMD level.
class PairMetricsTest : public ::testing::TestWithParam<const PairKernel*> {
 protected:
  PairComparer comparer_{*GetParam()};
};

INSTANTIATE_TEST_SUITE_P(Kernels, PairMetricsTest, ::testing::ValuesIn(Kernels()),
                         [](const auto& info) { return std::string(info.param->name); });

TEST_P(PairMetricsTest, SmallPairByHand) {
  // d = {0, -1, 2}; sum a^2 = 1+4+16 = 21, sum b^2 = 1+9+4 = 14, ab = 1+6+8 = 15; rms(a) = sqrt 7
  // = 2.6458.
  const std::vector<float> a = {1, 2, 4}, b = {1, 3, 2};
  const PairMetrics m = comparer_.Compare(F32(a), F32(b));
  EXPECT_EQ(m.elements, 3);
  EXPECT_EQ(m.max_abs, 2);
  EXPECT_EQ(m.max_abs_index, 2);
  EXPECT_EQ(m.reference_at_max, 4);
  EXPECT_EQ(m.candidate_at_max, 2);
  EXPECT_DOUBLE_EQ(m.mean_abs, 1);
  EXPECT_DOUBLE_EQ(m.rmse, std::sqrt(5.0 / 3));
  EXPECT_DOUBLE_EQ(m.nmse, 5.0 / 21);
  EXPECT_DOUBLE_EQ(m.cosine, 15 / std::sqrt(21.0 * 14));
  EXPECT_DOUBLE_EQ(m.max_channel_error, 2.0 / 4);
  EXPECT_FALSE(m.bit_identical);
  EXPECT_EQ(m.first_non_finite, -1);
}

TEST_P(PairMetricsTest, IdenticalIsZeroAndNegativeZeroIsNotIdentical) {
  const std::vector<float> a = {0, 1, -2}, b = {-0.0f, 1, -2};
  EXPECT_TRUE(comparer_.Compare(F32(a), F32(a)).bit_identical);
  const PairMetrics m = comparer_.Compare(F32(a), F32(b));
  EXPECT_FALSE(m.bit_identical);
  EXPECT_EQ(m.nmse, 0);
  EXPECT_EQ(m.max_abs, 0);
  EXPECT_DOUBLE_EQ(m.cosine, 1);
}

TEST_P(PairMetricsTest, ZerosOnOneSide) {
  const std::vector<float> zero(20, 0.0f), one(20, 1.0f);
  const PairMetrics both = comparer_.Compare(F32(zero), F32(zero));
  EXPECT_EQ(both.nmse, 0);
  EXPECT_EQ(both.cosine, 0);
  const PairMetrics reference = comparer_.Compare(F32(zero), F32(one));
  EXPECT_EQ(reference.nmse, std::numeric_limits<double>::infinity());
  EXPECT_EQ(reference.max_channel_error, std::numeric_limits<double>::infinity());
  EXPECT_EQ(reference.cosine, 0);
  EXPECT_EQ(comparer_.Compare(F32(one), F32(zero)).nmse, 1);
}

TEST_P(PairMetricsTest, NonFiniteIsCountedLocatedAndLeftOut) {
  std::vector<float> a(40, 2.0f), b(40, 2.0f);
  a[7] = b[7] = kNan;   // both sides
  a[9] = b[9] = -kInf;  // both sides, same sign
  b[20] = kInf;         // one side
  b[30] = 3;
  const PairMetrics m = comparer_.Compare(F32(a), F32(b));
  EXPECT_EQ(m.reference_nan, 1);
  EXPECT_EQ(m.candidate_nan, 1);
  EXPECT_EQ(m.reference_inf, 1);
  EXPECT_EQ(m.candidate_inf, 2);
  EXPECT_EQ(m.first_non_finite, 7);
  EXPECT_EQ(m.one_sided_non_finite, 20);
  EXPECT_EQ(m.finite, 37);
  EXPECT_DOUBLE_EQ(m.mean_abs, 1.0 / 37);
  EXPECT_DOUBLE_EQ(m.nmse, 1.0 / (4 * 37));
  EXPECT_EQ(m.max_abs_index, 30);
  EXPECT_DOUBLE_EQ(m.max_channel_error, 0.5);
}

TEST_P(PairMetricsTest, NothingFinite) {
  const std::vector<float> a(3, kNan);
  const PairMetrics m = comparer_.Compare(F32(a), F32(a));
  EXPECT_EQ(m.finite, 0);
  EXPECT_EQ(m.one_sided_non_finite, -1);
  EXPECT_TRUE(m.bit_identical);
  EXPECT_FALSE(comparer_.CompareLogits(F32(a), F32(a), m).valid);
  for (const double metric : {m.max_abs, m.reference_at_max, m.candidate_at_max, m.mean_abs, m.rmse,
                              m.nmse, m.cosine, m.max_channel_error}) {
    EXPECT_TRUE(std::isnan(metric)) << "what was not measured is not 0";
  }
}

TEST_P(PairMetricsTest, ComparesTheCommonPrefix) {
  const std::vector<float> a = {1, 2, 3, 4}, b = {1, 2};
  const PairMetrics m = comparer_.Compare(F32(a), F32(b));
  EXPECT_EQ(m.elements, 2);
  EXPECT_EQ(m.nmse, 0);
  EXPECT_FALSE(m.bit_identical);
}

TEST_P(PairMetricsTest, OneWrongChannelBesideAnOutlierShowsInTheChannelError) {
  std::vector<float> a(896, 1.0f), b(896, 1.0f);
  a[0] = b[0] = 2600;
  b[895] = 101;  // 100 more on one channel: nmse 1e4/6.8e6 = 1.5e-3
  const PairMetrics m = comparer_.Compare(F32(a), F32(b));
  const double rms = std::sqrt((2600.0 * 2600 + 895) / 896);
  EXPECT_DOUBLE_EQ(m.max_channel_error, 100 / rms);
  EXPECT_DOUBLE_EQ(m.nmse, 1e4 / (2600.0 * 2600 + 895));
}

TEST_P(PairMetricsTest, LargestChannelErrorIsNotWhereTheLargestDifferenceIs) {
  std::vector<float> a(3000, 1.0f), b(3000, 1.0f);
  for (int i = 0; i < 3000; i += 2) a[i] = b[i] = -1;
  a[5] = 1000;
  b[5] = 1010;  // 10, but 1 % of its channel
  b[2900] = 2;  // 3: a smaller difference, another block, larger relative to the rms (18.3)
  const PairMetrics m = comparer_.Compare(F32(a), F32(b));
  EXPECT_EQ(m.max_abs_index, 5);
  EXPECT_DOUBLE_EQ(m.max_channel_error, 3 / std::sqrt((1e6 + 2999) / 3000));
}

TEST_P(PairMetricsTest, DenormalsAreNotFlushed) {
  const float tiny = std::numeric_limits<float>::denorm_min();
  const std::vector<float> a = {4 * tiny, 4 * tiny}, b = {4 * tiny, 6 * tiny};
  const PairMetrics m = comparer_.Compare(F32(a), F32(b));
  EXPECT_EQ(m.max_abs, 2.0 * tiny);
  EXPECT_DOUBLE_EQ(m.nmse, 4.0 / 32);
  EXPECT_DOUBLE_EQ(m.max_channel_error, 0.5);
}

TEST_P(PairMetricsTest, HugeValuesDoNotOverflow) {
  const std::vector<float> a = {3e38f, 1}, b = {-3e38f, 1};
  const PairMetrics m = comparer_.Compare(F32(a), F32(b));
  EXPECT_DOUBLE_EQ(m.max_abs, 2.0 * 3e38f);
  EXPECT_NEAR(m.nmse, 4, 1e-12);
}

TEST_P(PairMetricsTest, HalfAndBrainAreDecoded) {
  // 1.5 is 0x3e00 in F16 and 0x3fc0 in BF16; -2 is 0xc000 in both.
  const std::vector<float> a = {1.5f, -2};
  const Payload half = {v1::DTYPE_F16, absl::string_view("\x00\x3e\x00\xc0", 4)};
  const Payload brain = {v1::DTYPE_BF16, absl::string_view("\xc0\x3f\x00\xc0", 4)};
  for (const Payload& other : {half, brain}) {
    const PairMetrics m = comparer_.Compare(F32(a), other);
    EXPECT_EQ(m.elements, 2);
    EXPECT_EQ(m.nmse, 0);
    EXPECT_FALSE(m.bit_identical);
  }
}

TEST_P(PairMetricsTest, LogitsByHand) {
  // p = {0.5, 0.25, 0.25}, q = {0.25, 0.5, 0.25}: KL = 0.5 ln 2 - 0.25 ln 2 = 0.25 ln 2. Shifts do
  // not matter.
  const float l = std::log(2.0f);
  const std::vector<float> a = {5 + l, 5, 5}, b = {-7, -7 + l, -7};
  const PairMetrics m = comparer_.Compare(F32(a), F32(b));
  const LogitsMetrics g = comparer_.CompareLogits(F32(a), F32(b), m);
  ASSERT_TRUE(g.valid);
  EXPECT_NEAR(g.kl_divergence, 0.25 * std::log(2.0), 1e-6);  // the inputs are rounded to 24 bits
  EXPECT_EQ(g.reference_top1, 0);
  EXPECT_EQ(g.candidate_top1, 1);
  EXPECT_EQ(g.reference_top1_rank, 1);
  EXPECT_NEAR(g.reference_top1_gap, l, 1e-6);
  EXPECT_NEAR(g.top1_loss, l, 1e-6);
  EXPECT_EQ(g.top5_overlap, 3);
  EXPECT_FALSE(g.near_tie);
}

TEST_P(PairMetricsTest, NearTieAndEqualLogits) {
  std::vector<float> a(2000, 0.0f), b(2000, 0.0f);
  a[3] = 10.1f, a[1500] = 10;
  b[3] = 10, b[1500] = 10.05f;
  const PairMetrics m = comparer_.Compare(F32(a), F32(b));
  const LogitsMetrics g = comparer_.CompareLogits(F32(a), F32(b), m);
  EXPECT_TRUE(g.near_tie);
  EXPECT_EQ(g.reference_top1_rank, 1);
  b[3] = 10.05f;  // equal on the candidate's side: the lower index comes first
  const PairMetrics tied = comparer_.Compare(F32(a), F32(b));
  const LogitsMetrics t = comparer_.CompareLogits(F32(a), F32(b), tied);
  EXPECT_EQ(t.candidate_top1, 3);
  EXPECT_EQ(t.reference_top1_rank, 0);
  EXPECT_FALSE(t.near_tie);
}

TEST_P(PairMetricsTest, ConstantShiftOfLogitsIsNoDivergence) {
  std::vector<float> a(5000), b(5000);
  for (int i = 0; i < 5000; ++i) a[i] = static_cast<float>(i % 97) / 8, b[i] = a[i] + 16;
  const PairMetrics m = comparer_.Compare(F32(a), F32(b));
  EXPECT_LT(comparer_.CompareLogits(F32(a), F32(b), m).kl_divergence, 1e-15);
}

// NumPy in float64 is the oracle: random pairs of many lengths and scales go out through a file,
// its results come back.
constexpr char kOracle[] = R"py(
import sys, numpy as np
d = sys.argv[1]
for line in open(d + '/list'):
    k, n = map(int, line.split())
    raw = np.fromfile(d + '/%d' % k, dtype='<f4').astype(np.float64)
    a, b = raw[:n], raw[n:]
    e = a - b; m = np.abs(e); aa = (a*a).sum(); bb = (b*b).sum()
    la = a - a.max(); la = la - np.log(np.exp(la).sum())
    lb = b - b.max(); lb = lb - np.log(np.exp(lb).sum())
    t = int(a.argmax())
    order = lambda x: np.lexsort((np.arange(n), -x))
    oa, ob = order(a), order(b)
    print(*['%.17g' % v for v in (
        m.max(), m.argmax(), m.mean(), np.sqrt((e*e).mean()), (e*e).sum()/aa,
        (a*b).sum()/np.sqrt(aa)/np.sqrt(bb), (m/np.maximum(m*0+np.sqrt(aa/n), np.abs(a))).max(),
        (np.exp(la)*(la-lb)).sum(), t, b.argmax(), list(ob).index(t),
        a[oa[0]]-a[oa[1]], b.max()-b[t], len(set(oa[:5]) & set(ob[:5])))])
)py";

class NumpyOracle {
 public:
  NumpyOracle() : directory_(absl::StrCat(::testing::TempDir(), "/pair_metrics_oracle")) {
    (void)!system(absl::StrCat("mkdir -p ", directory_).c_str());
    list_.open(directory_ + "/list");
  }
  static bool Available() { return system("python3 -c 'import numpy' >/dev/null 2>&1") == 0; }
  void Add(const std::vector<float>& a, const std::vector<float>& b) {
    std::ofstream out(absl::StrCat(directory_, "/", count_), std::ios::binary);
    out << Bytes(a) << Bytes(b);
    list_ << count_++ << " " << a.size() << "\n";
  }
  std::ifstream Run() {
    list_.close();
    std::ofstream(directory_ + "/oracle.py") << kOracle;
    const std::string command =
        absl::StrCat("python3 ", directory_, "/oracle.py ", directory_, " > ", directory_, "/out");
    EXPECT_EQ(system(command.c_str()), 0);
    return std::ifstream(directory_ + "/out");
  }

 private:
  const std::string directory_;
  std::ofstream list_;
  int count_ = 0;
};

struct RandomPair {
  std::vector<float> a, b;
};

std::vector<RandomPair> RandomPairs() {
  std::mt19937 random(20240607);
  std::normal_distribution<float> normal;
  std::vector<RandomPair> pairs;
  for (const int n : {2, 7, 8, 9, 63, 576, 1024, 1025, 1536, 4099, 49152, 151936}) {
    for (const double noise : {1e-6, 1e-3, 0.05, 1.0, 30.0}) {
      RandomPair pair;
      const float scale = n % 2 == 0 ? 3.0f : 0.01f;
      for (int i = 0; i < n; ++i) {
        pair.a.push_back(scale * normal(random));
        pair.b.push_back(pair.a.back() + static_cast<float>(noise) * scale * normal(random));
      }
      pairs.push_back(std::move(pair));
    }
  }
  return pairs;
}

void ExpectClose(double found, double expected, double relative, absl::string_view what) {
  EXPECT_NEAR(found, expected, relative * std::fabs(expected)) << what;
}

TEST(PairMetricsOracleTest, AgreesWithNumpyInDouble) {
  if (!NumpyOracle::Available()) GTEST_SKIP() << "python3 has no numpy (deploy/packages.txt)";
  const std::vector<RandomPair> pairs = RandomPairs();
  NumpyOracle oracle;
  for (const RandomPair& pair : pairs) oracle.Add(pair.a, pair.b);
  std::ifstream out = oracle.Run();
  for (const RandomPair& pair : pairs) {
    double v[14] = {};
    for (double& value : v) ASSERT_TRUE(out >> value);
    for (const PairKernel* kernel : Kernels()) {
      SCOPED_TRACE(absl::StrCat(kernel->name, " n=", pair.a.size(), " nmse=", v[4]));
      PairComparer comparer(*kernel);
      const PairMetrics m = comparer.Compare(F32(pair.a), F32(pair.b));
      const LogitsMetrics g = comparer.CompareLogits(F32(pair.a), F32(pair.b), m);
      // Sums of n positive terms in double, in another order: at most n * 2^-53 apart, 2e-11 for
      // the longest.
      constexpr double kSum = 2e-11;
      EXPECT_EQ(m.max_abs, v[0]);
      EXPECT_EQ(m.max_abs_index, v[1]);
      ExpectClose(m.mean_abs, v[2], kSum, "mean_abs");
      ExpectClose(m.rmse, v[3], kSum, "rmse");
      ExpectClose(m.nmse, v[4], kSum, "nmse");
      EXPECT_NEAR(m.cosine, v[5], kSum);
      ExpectClose(m.max_channel_error, v[6], kSum, "max_channel_error");
      ASSERT_TRUE(g.valid);
      // Ours: 1e-6 relative. NumPy's own: log-probabilities of order 10 rounded to 2^-53, summed
      // against p.
      EXPECT_NEAR(g.kl_divergence, v[7], 1e-6 * v[7] + 1e-13);
      EXPECT_EQ(g.reference_top1, v[8]);
      EXPECT_EQ(g.candidate_top1, v[9]);
      EXPECT_EQ(g.reference_top1_rank, v[10]);
      EXPECT_EQ(g.reference_top1_gap, v[11]);
      EXPECT_EQ(g.top1_loss, v[12]);
      EXPECT_EQ(g.top5_overlap, v[13]);
    }
  }
}

TEST(PairMetricsOracleTest, SimdLevelsGiveTheSameBits) {
  // AVX2 and AVX-512 fuse the same operations over the same lanes; the scalar level rounds d^2 once
  // more.
  const std::vector<const PairKernel*> kernels = Kernels();
  for (const RandomPair& pair : RandomPairs()) {
    const PairMetrics first = PairComparer(*kernels[0]).Compare(F32(pair.a), F32(pair.b));
    for (const PairKernel* kernel : kernels) {
      const PairMetrics m = PairComparer(*kernel).Compare(F32(pair.a), F32(pair.b));
      EXPECT_EQ(m.mean_abs, first.mean_abs) << kernel->name;
      EXPECT_EQ(m.cosine, first.cosine) << kernel->name;
      EXPECT_EQ(m.max_channel_error, first.max_channel_error) << kernel->name;
      ExpectClose(m.nmse, first.nmse, 1e-14, kernel->name);
    }
    for (size_t i = 2; i < kernels.size(); ++i) {
      PairComparer one(*kernels[1]), other(*kernels[i]);
      const PairMetrics m = one.Compare(F32(pair.a), F32(pair.b));
      EXPECT_EQ(other.Compare(F32(pair.a), F32(pair.b)).nmse, m.nmse) << kernels[i]->name;
      EXPECT_EQ(other.CompareLogits(F32(pair.a), F32(pair.b), m).kl_divergence,
                one.CompareLogits(F32(pair.a), F32(pair.b), m).kl_divergence)
          << kernels[i]->name;
    }
  }
}

}  // namespace
}  // namespace parity::compare
