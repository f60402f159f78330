// How far two correct attentions may differ: by the probabilities that rounding to half may put on
// either side.
#ifndef PARITY_TESTS_PARITY_FLIP_BOUND_H_
#define PARITY_TESTS_PARITY_FLIP_BOUND_H_

#include <cstdint>
#include <vector>

#include "worker/engine/recorder.h"

namespace parity::testing {

// llama.cpp's CPU attention with an F16 cache rounds every probability to half before it meets v.
// Scores are float sums of K terms in an order of each engine's own (llama.cpp itself has two: one
// for prefill, one for decode), so two correct engines have slightly different probabilities, and
// one that lies close enough to the middle between two halves is rounded up by one engine and down
// by the other. Everything else of the op agrees to float rounding.
//
// Computed here in double from the recorded q_rope, k_rope and v, each rounded to half:
//   e_j  = 2^-24 sqrt(K) sum_k |q_k k_jk| / sqrt(K)   error of the scaled score j: a walk of K
//   roundings p_j  (1 +- (e_j + sum_i p_i e_i + 2^-21))         where the probability may lie: its
//   own score's error, the
//                                                     normalising sum's, and 8 ulp for the
//                                                     exponential and the product
//   bound_d = sum_j |half(upper p_j) - half(lower p_j)| |v_jd|
//
// Returns the bound for each of the H*K elements of attn.context at `position`; empty when
// something it needs was not recorded. Causal attention over all earlier positions, scale
// 1/sqrt(K).
std::vector<double> ContextFlipBound(const engine::Recording& recording, int32_t layer,
                                     int32_t position);

// Nmse of what is left of each element's difference after its bound is taken off. REQUIRES: equal
// sizes.
double UnexplainedNmse(const std::vector<float>& reference, absl::Span<const float> candidate,
                       const std::vector<double>& bound);

}  // namespace parity::testing

#endif  // PARITY_TESTS_PARITY_FLIP_BOUND_H_
