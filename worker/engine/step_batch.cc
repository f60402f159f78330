#include "worker/engine/step_batch.h"

#include <glog/logging.h>

#include <algorithm>
#include <utility>

namespace parity::engine {
namespace {

// Decides how far the rows of a sequence are computed.
void SetSkips(Sequence& sequence, int32_t layers) {
  const ObservedRows& observed = *sequence.observed;
  const bool head_observed =
      observed.Wants(Stage::kFinalNorm, -1) || observed.Wants(Stage::kLogits, -1);
  sequence.head_skip = head_observed ? 0 : sequence.rows - (sequence.wants_logits() ? 1 : 0);
  sequence.last_layer_skip = observed.WantsAnyOf(layers - 1) ? 0 : sequence.head_skip;
}

// Sequences of a lower rank stand before those of a higher one.
int Rank(const Sequence& sequence) {
  if (sequence.last_layer_skip == sequence.rows) return 0;  // keys and values only
  if (sequence.head_skip == sequence.rows) return 1;        // the last layer too
  return sequence.head_skip > 0 ? 2 : 3;                    // the head for some, for all rows
}

std::vector<Sequence*> Ordered(std::vector<Sequence*> sequences, int32_t layers) {
  for (Sequence* sequence : sequences) SetSkips(*sequence, layers);
  std::stable_sort(sequences.begin(), sequences.end(),
                   [](const Sequence* a, const Sequence* b) { return Rank(*a) < Rank(*b); });
  return sequences;
}

}  // namespace

void StepBatch::Trim(absl::Span<Sequence* const> sequences) {
  // One row of a prompt's last piece goes through the head, the others do not. That can stand
  // beside sequences of one row, whose row goes through it as well.
  const auto plain = [](const Sequence* s) { return s->rows == 1 && s->wants_logits(); };
  const int64_t others = std::count_if(sequences.begin(), sequences.end(),
                                       [&](const Sequence* s) { return !plain(s); });
  if (others < 2) return;
  for (Sequence* sequence : sequences) {
    if (sequence->rows > 1 && sequence->wants_logits()) --sequence->rows;
  }
}

StepBatch::StepBatch(std::vector<Sequence*> sequences, int32_t layers)
    : sequences_(Ordered(std::move(sequences), layers)) {
  CHECK(!sequences_.empty());
  for (Sequence* sequence : sequences_) {
    // What is left out are the first rows of the step.
    CHECK(sequence->last_layer_skip == 0 || last_layer_skip_ == rows());
    CHECK(sequence->head_skip == 0 || head_skip_ == rows());
    last_layer_skip_ += sequence->last_layer_skip;
    head_skip_ += sequence->head_skip;
    sequence->observed->first_row = rows();
    sequence->observed->rows = sequence->rows;
    for (int64_t i = 0; i < sequence->rows; ++i) {
      const int32_t position = sequence->first_position + static_cast<int32_t>(i);
      ids_.push_back(sequence->ids[i]);
      positions_.push_back(position);
      places_.push_back({sequence->cache, position});
    }
  }
}

std::vector<ObservedRows*> StepBatch::observed() const {
  std::vector<ObservedRows*> observed;
  for (Sequence* sequence : sequences_) observed.push_back(&*sequence->observed);
  return observed;
}

bool StepBatch::Alive() {
  bool alive = false;
  for (Sequence* sequence : sequences_) {
    ObservedRows& observed = *sequence->observed;
    if (!observed.muted() && sequence->stopped()) {
      sequence->status = absl::CancelledError("stopped");
      observed.Mute();
    }
    if (!observed.muted()) alive = true;
  }
  return alive;
}

}  // namespace parity::engine
