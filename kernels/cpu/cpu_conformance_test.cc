// The conformance suite on the CPU backend: every path, both numerics, several threads.
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
            if (!Supported(path)) return nullptr;
            CpuOptions options;
            options.threads = threads;
            options.numerics = numerics;
            options.path = path;
            return *CpuBackend::Create(options);
          }};
}

constexpr SimdPath kPaths[] = {SimdPath::kScalar, SimdPath::kAvx2, SimdPath::kAvx512,
                               SimdPath::kAvx512Vnni};

std::vector<Subject> OracleSubjects() {
  std::vector<Subject> subjects;
  for (Numerics numerics : {Numerics::kNative, Numerics::kF32}) {
    for (SimdPath path : kPaths) subjects.push_back(Cpu(path, numerics, 1));
  }
  return subjects;
}

std::vector<BitsPair> Pairs() {
  std::vector<BitsPair> pairs;
  for (Numerics numerics : {Numerics::kNative, Numerics::kF32}) {
    const Subject base = Cpu(SimdPath::kScalar, numerics, 1);
    for (SimdPath path : kPaths) {
      pairs.push_back({base, Cpu(path, numerics, 1)});
      pairs.push_back({base, Cpu(path, numerics, 3)});
    }
    pairs.push_back({base, Cpu(SimdPath::kAvx2, numerics, 2)});
  }
  return pairs;
}

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
