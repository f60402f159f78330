// The cuda backend that the programs of this folder measure: on a card of this machine
// (real_card.cc), or with its kernels emulated (emulated_card.cc). A program is linked with either.
#ifndef PARITY_TESTS_GPU_CARD_H_
#define PARITY_TESTS_GPU_CARD_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "kernels/backend.h"
#include "kernels/dtype.h"

namespace parity::testing {

struct CardOptions {
  kernels::Numerics numerics = kernels::Numerics::kNative;
  int64_t memory_limit = 0;  // bytes; 0: all that is free
  // The emulation runs threads and blocks the other way round; a card has an order of its own.
  bool other_order = false;
};

// Card 0, or the one that PARITY_GPU_DEVICE names. Errors: those of CreateCudaBackend.
absl::StatusOr<std::unique_ptr<kernels::Backend>> OpenCard(const CardOptions& options);

// What a report says of the card: names and values. UNAVAILABLE or UNIMPLEMENTED where there is
// none.
absl::StatusOr<std::vector<std::pair<std::string, std::string>>> CardFacts();

// Bytes a second, read and written, of a copy on the card that is larger than its caches; the
// median of several. UNIMPLEMENTED under the emulation, which has no speed.
absl::StatusOr<double> CopyBandwidth();

}  // namespace parity::testing

#endif  // PARITY_TESTS_GPU_CARD_H_
