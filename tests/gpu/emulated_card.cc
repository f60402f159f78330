#include "kernels/cuda/cuda_backend.h"
#include "kernels/cuda/emulation/emulated_device.h"
#include "tests/gpu/card.h"

namespace parity::testing {

using kernels::cuda::emulation::EmulatedDevice;
using kernels::cuda::emulation::EmulatedOptions;
using kernels::cuda::emulation::Order;

absl::StatusOr<std::unique_ptr<kernels::Backend>> OpenCard(const CardOptions& options) {
  EmulatedOptions emulated = {.order = options.other_order ? Order::kReverse : Order::kForward};
  if (options.memory_limit > 0) emulated.memory_bytes = options.memory_limit;
  return std::unique_ptr<kernels::Backend>(new kernels::cuda::CudaBackend(
      std::make_unique<EmulatedDevice>(emulated), {.numerics = options.numerics}));
}

absl::StatusOr<std::vector<std::pair<std::string, std::string>>> CardFacts() {
  return std::vector<std::pair<std::string, std::string>>{{"card", "emulation"}};
}

absl::StatusOr<double> CopyBandwidth() {
  return absl::UnimplementedError("the emulation has no speed");
}

}  // namespace parity::testing
