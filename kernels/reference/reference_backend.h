// The scalar oracle: every op in plain loops with double accumulation. Never optimised.
#ifndef PARITY_KERNELS_REFERENCE_REFERENCE_BACKEND_H_
#define PARITY_KERNELS_REFERENCE_REFERENCE_BACKEND_H_

#include <memory>

#include "kernels/backend.h"

namespace parity::kernels {

// Native numerics round where llama.cpp's CPU backend rounds (quantised activations, half-rounded
// q, probabilities and GELU table) and compute everything else in double; f32 rounds only results
// and, for an F16 cache, k and v. Memory is the host's, so a Matrix may point anywhere. Taps call
// their sink at once.
std::unique_ptr<Backend> CreateReferenceBackend(Numerics numerics);

}  // namespace parity::kernels

#endif  // PARITY_KERNELS_REFERENCE_REFERENCE_BACKEND_H_
