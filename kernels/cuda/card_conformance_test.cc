// The conformance suite on a card of this machine; every case is skipped, with the reason, where
// there is none.
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "kernels/conformance/suite.h"
#include "kernels/cuda/cuda_factory.h"

namespace parity::kernels::conformance {
namespace {

Subject Card(Numerics numerics) {
  return {numerics == Numerics::kNative ? "card_native" : "card_f32", numerics,
          [=]() -> std::unique_ptr<Backend> {
            auto backend = cuda::CreateCudaBackend({.numerics = numerics});
            if (backend.ok()) return *std::move(backend);
            std::printf("%s\n", backend.status().ToString().c_str());
            return nullptr;
          },
          true};
}

std::vector<Subject> Subjects() { return {Card(Numerics::kNative), Card(Numerics::kF32)}; }

// A repeated call gives the same bits.
std::vector<BitsPair> Pairs() {
  std::vector<BitsPair> pairs;
  for (const Subject& subject : Subjects()) pairs.push_back({subject, subject, false});
  return pairs;
}

INSTANTIATE_TEST_SUITE_P(Card, OracleTest,
                         testing::Combine(testing::ValuesIn(Subjects()),
                                          testing::ValuesIn(AllCases())),
                         OracleTestName);
INSTANTIATE_TEST_SUITE_P(Card, BitsTest,
                         testing::Combine(testing::ValuesIn(Pairs()),
                                          testing::ValuesIn(AllCases())),
                         BitsTestName);

}  // namespace
}  // namespace parity::kernels::conformance
