#include "kernels/cuda/cuda_factory.h"
#include "tests/gpu/card.h"

namespace parity::testing {

absl::StatusOr<std::unique_ptr<kernels::Backend>> OpenCard(const CardOptions& options) {
  return kernels::cuda::CreateCudaBackend({.numerics = options.numerics});
}

absl::StatusOr<std::vector<std::pair<std::string, std::string>>> CardFacts() {
  return OpenCard({}).status();
}

absl::StatusOr<double> CopyBandwidth() { return OpenCard({}).status(); }

}  // namespace parity::testing
