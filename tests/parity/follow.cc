#include "tests/parity/follow.h"

#include <algorithm>

#include "proto/status/status_macros.h"

namespace parity::testing {

absl::StatusOr<bool> FollowStep(engine::Session& session, const Sequence& sequence,
                                engine::Observer* observer, absl::Span<float> logits) {
  const int32_t position = session.position();
  const bool prefill = position < sequence.prompt;
  const int32_t piece = sequence.piece > 0 ? sequence.piece : sequence.prompt;
  const int32_t count = prefill ? std::min(piece, sequence.prompt - position) : 1;
  const bool wanted = position + count >= sequence.prompt;
  RETURN_IF_ERROR(
      session.Forward(sequence.ids.subspan(position, count),
                      {.logits = wanted ? engine::LogitsWanted::kLast : engine::LogitsWanted::kNone,
                       .prefill = prefill},
                      observer, logits));
  return wanted;
}

absl::StatusOr<std::vector<std::vector<float>>> Follow(engine::Engine& engine,
                                                       const Sequence& sequence,
                                                       engine::Observer* observer) {
  const int32_t count = static_cast<int32_t>(sequence.ids.size());
  ASSIGN_OR_RETURN(const auto session, engine.NewSession(count));
  std::vector<std::vector<float>> logits;
  std::vector<float> row(engine.info().vocabulary);
  while (session->position() < count) {
    ASSIGN_OR_RETURN(const bool wanted,
                     FollowStep(*session, sequence, observer, absl::MakeSpan(row)));
    if (wanted) logits.push_back(row);
  }
  return logits;
}

}  // namespace parity::testing
