// The conformance suite on the CUDA backend, its kernels emulated: both numerics, and the same bits
// whichever way round threads and blocks run.
#include <memory>
#include <string>
#include <vector>

#include "kernels/conformance/suite.h"
#include "kernels/cuda/cuda_backend.h"
#include "kernels/cuda/emulation/emulated_device.h"

namespace parity::kernels::conformance {
namespace {

using cuda::emulation::Order;

Subject Emulated(Numerics numerics, Order order) {
  const std::string name = std::string(numerics == Numerics::kNative ? "native" : "f32") +
                           (order == Order::kForward ? "" : "_reverse");
  return {name, numerics,
          [=]() -> std::unique_ptr<Backend> {
            auto device = std::make_unique<cuda::emulation::EmulatedDevice>(
                cuda::emulation::EmulatedOptions{.order = order});
            return std::make_unique<cuda::CudaBackend>(
                std::move(device), cuda::CudaBackendOptions{.numerics = numerics});
          },
          true};
}

std::vector<Subject> Subjects() {
  return {Emulated(Numerics::kNative, Order::kForward), Emulated(Numerics::kF32, Order::kForward)};
}

std::vector<BitsPair> Pairs() {
  std::vector<BitsPair> pairs;
  for (Numerics numerics : {Numerics::kNative, Numerics::kF32}) {
    pairs.push_back(
        {Emulated(numerics, Order::kForward), Emulated(numerics, Order::kReverse), false});
  }
  return pairs;
}

INSTANTIATE_TEST_SUITE_P(Cuda, OracleTest,
                         testing::Combine(testing::ValuesIn(Subjects()),
                                          testing::ValuesIn(AllCases())),
                         OracleTestName);
INSTANTIATE_TEST_SUITE_P(Cuda, BitsTest,
                         testing::Combine(testing::ValuesIn(Pairs()),
                                          testing::ValuesIn(AllCases())),
                         BitsTestName);

}  // namespace
}  // namespace parity::kernels::conformance
