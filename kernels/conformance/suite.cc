#include "kernels/conformance/suite.h"

#include "kernels/conformance/fixtures.h"
#include "kernels/reference/reference_backend.h"

namespace parity::kernels::conformance {

void PrintTo(const Subject& subject, std::ostream* out) { *out << subject.name; }
void PrintTo(const BitsPair& pair, std::ostream* out) {
  *out << pair.base.name << " and " << pair.other.name;
}
void PrintTo(const Case& test, std::ostream* out) { *out << test.name; }

std::string OracleTestName(const testing::TestParamInfo<OracleTest::ParamType>& info) {
  return std::get<0>(info.param).name + "_" + std::get<1>(info.param).name;
}

std::string BitsTestName(const testing::TestParamInfo<BitsTest::ParamType>& info) {
  return std::get<0>(info.param).other.name + "_" + std::get<1>(info.param).name;
}

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(OracleTest);
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(BitsTest);

TEST_P(OracleTest, IsWithinTheBound) {
  const auto& [subject, test] = GetParam();
  const std::unique_ptr<Backend> backend = subject.make();
  if (backend == nullptr) GTEST_SKIP() << "this machine cannot run " << subject.name;
  ASSERT_EQ(backend->numerics(), subject.numerics);
  const std::unique_ptr<Backend> oracle = CreateReferenceBackend(subject.numerics);
  const std::vector<float> expected = test.run(*oracle, test.rows);
  const std::vector<float> actual = test.run(*backend, test.rows);
  EXPECT_TRUE(Within(expected, actual, test.bounds(subject.numerics, expected)));
  EXPECT_LE(Nmse(expected, actual), test.nmse);
}

TEST_P(BitsTest, AreTheSame) {
  const auto& [pair, test] = GetParam();
  const std::unique_ptr<Backend> base = pair.base.make();
  const std::unique_ptr<Backend> other = pair.other.make();
  if (base == nullptr || other == nullptr) {
    GTEST_SKIP() << "this machine cannot run " << pair.other.name;
  }
  const std::vector<float> expected = test.run(*base, test.rows);
  EXPECT_TRUE(SameBits(expected, test.run(*other, test.rows))) << "all rows in one call";
  EXPECT_TRUE(SameBits(expected, test.run(*other, 2))) << "two rows a call";
  EXPECT_TRUE(SameBits(expected, test.run(*other, 1))) << "row by row";
}

}  // namespace parity::kernels::conformance
