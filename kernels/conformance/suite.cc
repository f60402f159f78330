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

namespace {

Arithmetic ArithmeticOf(const Subject& subject) {
  if (subject.numerics == Numerics::kNative) {
    return subject.device ? Arithmetic::kDeviceNative : Arithmetic::kNative;
  }
  return subject.device ? Arithmetic::kDeviceF32 : Arithmetic::kF32;
}

}  // namespace

TEST_P(OracleTest, IsWithinTheBound) {
  const auto& [subject, test] = GetParam();
  const std::unique_ptr<Backend> backend = subject.make();
  if (backend == nullptr) GTEST_SKIP() << "no instructions or card for " << subject.name;
  ASSERT_EQ(backend->numerics(), subject.numerics);
  const Arithmetic arithmetic = ArithmeticOf(subject);
  const bool device_native = arithmetic == Arithmetic::kDeviceNative;
  const std::unique_ptr<Backend> oracle =
      CreateReferenceBackend(device_native ? test.device_oracle : subject.numerics);
  const std::vector<float> expected = test.run(*oracle, test.rows);
  const std::vector<float> actual = test.run(*backend, test.rows);
  EXPECT_TRUE(Within(expected, actual, test.bounds(arithmetic, expected)));
  EXPECT_LE(Nmse(expected, actual), device_native ? test.device_nmse : test.nmse);
}

TEST_P(BitsTest, AreTheSame) {
  const auto& [pair, test] = GetParam();
  const std::unique_ptr<Backend> base = pair.base.make();
  const std::unique_ptr<Backend> other = pair.other.make();
  if (base == nullptr) GTEST_SKIP() << "no instructions or card for " << pair.base.name;
  if (other == nullptr) GTEST_SKIP() << "no instructions or card for " << pair.other.name;
  const std::vector<float> expected = test.run(*base, test.rows);
  EXPECT_TRUE(SameBits(expected, test.run(*other, test.rows))) << "all rows in one call";
  if (!pair.pieces) return;
  EXPECT_TRUE(SameBits(expected, test.run(*other, 2))) << "two rows a call";
  EXPECT_TRUE(SameBits(expected, test.run(*other, 1))) << "row by row";
}

}  // namespace parity::kernels::conformance
