// From which substituted checkpoints each row of a shadow capture is measured.
#ifndef PARITY_COLLECTOR_COMPARE_SHADOW_STRETCH_H_
#define PARITY_COLLECTOR_COMPARE_SHADOW_STRETCH_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "collector/compare/alignment.h"

namespace parity::compare {

struct RowStretch {
  std::string measured_from;  // comma-separated, in forward order; empty: from the token itself, or
                              // not a known name
  bool single_op = false;
  int layers = 1;  // layers since the last substituted checkpoint
};

// Built once a comparison; then read from any number of threads.
class ShadowStretches {
 public:
  // What was substituted at a position is what the candidate recorded there without
  // `not_substituted`. `architecture` tells which optional stages the model has even where nobody
  // recorded them.
  ShadowStretches(const Alignment& alignment, absl::string_view architecture);

  const RowStretch& Of(const AlignedRow& row) const;

 private:
  std::map<int32_t, size_t> pattern_;  // first position of a stretch of positions -> pattern
  std::vector<std::vector<RowStretch>> stretches_;  // [pattern][checkpoint]
};

}  // namespace parity::compare

#endif  // PARITY_COLLECTOR_COMPARE_SHADOW_STRETCH_H_
