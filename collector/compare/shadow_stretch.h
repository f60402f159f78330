// From which substituted checkpoints each row of a shadow capture is measured.
#ifndef PARITY_COLLECTOR_COMPARE_SHADOW_STRETCH_H_
#define PARITY_COLLECTOR_COMPARE_SHADOW_STRETCH_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "collector/compare/alignment.h"
#include "proto/checkpoint/name.h"

namespace parity::compare {

struct RowStretch {
  std::string measured_from;  // comma-separated, in forward order; empty: from the token itself, or
                              // not a known name
  bool single_op = false;
  int layers = 1;  // layers since the last substituted checkpoint
};

// Used by any number of threads.
class ShadowStretches {
 public:
  // `names`: the comparison's checkpoints. `architecture` tells which optional stages the model has
  // even where nobody recorded them.
  ShadowStretches(const std::vector<std::string>& names, absl::string_view architecture);

  // By checkpoint (index into names), for a position where `substituted[checkpoint]` were. Valid as
  // long as this object.
  const std::vector<RowStretch>& Of(const std::vector<bool>& substituted);

 private:
  std::vector<RowStretch> Describe(const std::vector<bool>& substituted) const;

  std::vector<checkpoint::Name> known_;  // those of the names that are known...
  std::vector<int32_t> columns_;         // ...and their indices
  size_t names_ = 0;                     // how many, known or not
  std::vector<checkpoint::Name> model_;  // all that the model computes
  int32_t layers_ = 0;
  std::mutex mutex_;
  // Nearly all positions are alike.
  std::map<std::vector<bool>, std::vector<RowStretch>> patterns_;
};

// What was substituted at the position of rows[begin..end): what the candidate recorded there
// without `not_substituted`.
std::vector<bool> Substituted(const Alignment& alignment, size_t begin, size_t end, size_t names);

}  // namespace parity::compare

#endif  // PARITY_COLLECTOR_COMPARE_SHADOW_STRETCH_H_
