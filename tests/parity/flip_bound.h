// How far two correct attentions may differ: by the probabilities that rounding to half may put on
// either side.
#ifndef PARITY_TESTS_PARITY_FLIP_BOUND_H_
#define PARITY_TESTS_PARITY_FLIP_BOUND_H_

#include <cstdint>
#include <vector>

#include "worker/engine/recorder.h"

namespace parity::testing {

// How a layer's attention scores are made: q is multiplied by query_scale, rounded to half, and q.k
// by score_scale; a position sees `window` positions, its own included (0: all before it).
struct ScoreRule {
  float query_scale = 1.0f;
  float score_scale = 1.0f;
  int32_t window = 0;
};

// llama.cpp's CPU attention with an F16 cache rounds every probability to half before it meets v.
// Scores are float sums of K terms in an order of each engine's own (llama.cpp itself has two: one
// for prefill, one for decode), so two correct engines have slightly different probabilities, and
// one that lies close enough to the middle between two halves is rounded up by one engine and down
// by the other. Everything else of the op agrees to float rounding.
//
// Computed here in double from the recorded q_rope, k_rope and v, each rounded to half:
//   e_j = 2^-24 sqrt(K) s sum_k |q_k k_jk|   error of the scaled score j: a walk of K roundings; s
//                                            is score_scale
//   p_j (1 +- (e_j + sum_i p_i e_i + 2^-21))  where the probability may lie: its own score's error,
//                                             the normalising sum's, and 8 ulp for the exponential
//                                             and the product
//   bound_d = sum_j |half(upper p_j) - half(lower p_j)| |v_jd|
//
// Returns the bound for each of the H*K elements of attn.context at `position`; empty when
// something it needs was not recorded.
std::vector<double> ContextFlipBound(const engine::Recording& recording, const ScoreRule& rule,
                                     int32_t layer, int32_t position);

// Nmse of what is left of each element's difference after its bound is taken off. REQUIRES: equal
// sizes.
double UnexplainedNmse(const std::vector<float>& reference, absl::Span<const float> candidate,
                       const std::vector<double>& bound);

}  // namespace parity::testing

#endif  // PARITY_TESTS_PARITY_FLIP_BOUND_H_
