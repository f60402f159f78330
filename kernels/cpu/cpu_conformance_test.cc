// The conformance suite on the CPU backend: every path this machine runs, both numerics, several
// threads.
#include <memory>
#include <string>
#include <vector>

#include "kernels/conformance/suite.h"
#include "kernels/cpu/cpu_backend.h"

namespace parity::kernels::conformance {
namespace {

Subject Cpu(SimdPath path, Numerics numerics, int threads) {
  const std::string name = std::string(numerics == Numerics::kNative ? "native_" : "f32_") +
                           Name(path) + "_" + std::to_string(threads);
  return {name, numerics, [=]() -> std::unique_ptr<Backend> {
            CpuOptions options;
            options.threads = threads;
            options.numerics = numerics;
            options.path = path;
            return *CpuBackend::Create(options);
          }};
}

constexpr SimdPath kPaths[] = {SimdPath::kScalar, SimdPath::kAvx2, SimdPath::kAvx512,
                               SimdPath::kAvx512Vnni};

std::vector<SimdPath> SupportedPaths() {
  std::vector<SimdPath> paths;
  for (SimdPath path : kPaths) {
    if (Supported(path)) paths.push_back(path);
  }
  return paths;
}

// One skipped test for each path that is not checked here, so that none goes missing unseen.
class PathTest : public testing::TestWithParam<SimdPath> {};

TEST_P(PathTest, IsCheckedOnThisMachine) {
  if (!Supported(GetParam())) {
    GTEST_SKIP() << "this machine has no " << Name(GetParam()) << ": it is not checked";
  }
  EXPECT_NE(Cpu(GetParam(), Numerics::kNative, 1).make(), nullptr);
}

std::vector<Subject> OracleSubjects() {
  std::vector<Subject> subjects;
  for (Numerics numerics : {Numerics::kNative, Numerics::kF32}) {
    for (SimdPath path : SupportedPaths()) subjects.push_back(Cpu(path, numerics, 1));
  }
  return subjects;
}

std::vector<BitsPair> Pairs() {
  std::vector<BitsPair> pairs;
  for (Numerics numerics : {Numerics::kNative, Numerics::kF32}) {
    const Subject base = Cpu(SimdPath::kScalar, numerics, 1);
    for (SimdPath path : SupportedPaths()) {
      pairs.push_back({base, Cpu(path, numerics, 1)});
      pairs.push_back({base, Cpu(path, numerics, 3)});
    }
    pairs.push_back({base, Cpu(BestSimdPath(), numerics, 2)});
  }
  return pairs;
}

INSTANTIATE_TEST_SUITE_P(Cpu, PathTest, testing::ValuesIn(kPaths),
                         [](const auto& info) { return std::string(Name(info.param)); });
INSTANTIATE_TEST_SUITE_P(Cpu, OracleTest,
                         testing::Combine(testing::ValuesIn(OracleSubjects()),
                                          testing::ValuesIn(AllCases())),
                         OracleTestName);
INSTANTIATE_TEST_SUITE_P(Cpu, BitsTest,
                         testing::Combine(testing::ValuesIn(Pairs()),
                                          testing::ValuesIn(AllCases())),
                         BitsTestName);

}  // namespace
}  // namespace parity::kernels::conformance
