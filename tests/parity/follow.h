// Runs a fixed token sequence through an engine: a prompt, then forced tokens one by one.
#ifndef PARITY_TESTS_PARITY_FOLLOW_H_
#define PARITY_TESTS_PARITY_FOLLOW_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "worker/engine/engine.h"

namespace parity::testing {

struct Sequence {
  absl::Span<const int32_t> ids;
  int32_t prompt;     // the first tokens, prefilled; the others are fed one a step
  int32_t piece = 0;  // tokens of a prefill step; 0: the prompt in one
};

// Logits after the prompt and after each forced token. `observer` may be null.
absl::StatusOr<std::vector<std::vector<float>>> Follow(engine::Engine& engine,
                                                       const Sequence& sequence,
                                                       engine::Observer* observer);

// One step more of a sequence: the piece of the prompt or the token that stands at
// session.position(). Returns whether logits were written.
absl::StatusOr<bool> FollowStep(engine::Session& session, const Sequence& sequence,
                                engine::Observer* observer, absl::Span<float> logits);

}  // namespace parity::testing

#endif  // PARITY_TESTS_PARITY_FOLLOW_H_
