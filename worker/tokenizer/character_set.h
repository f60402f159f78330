// Sets of code points, written as the inside of a bracket expression: single characters and
// ranges "a-z".
#ifndef PARITY_WORKER_TOKENIZER_CHARACTER_SET_H_
#define PARITY_WORKER_TOKENIZER_CHARACTER_SET_H_

#include <cstdint>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "worker/tokenizer/segment.h"

namespace parity::tokenizer {

// Threading: immutable, thread-safe.
class CharacterSet {
 public:
  // REQUIRES: `content` is UTF-8 without escapes; a '-' stands between two characters only.
  explicit CharacterSet(absl::string_view content);

  bool Contains(uint32_t code_point) const;

  // Whether position i of `s` is in the set. White space outside ASCII never is: libllama reads it
  // as U+000B before it applies such a set.
  bool At(const Segment& s, size_t i) const {
    return s.At(i) != 0 && !((s.At(i) & kSpace) && s.Code(i) >= 128) && Contains(s.Code(i));
  }

 private:
  std::vector<std::pair<uint32_t, uint32_t>> ranges_;  // first, last; ascending, disjoint
};

}  // namespace parity::tokenizer

#endif  // PARITY_WORKER_TOKENIZER_CHARACTER_SET_H_
