// One piece of a text that a splitting pass works on, and the ways to cut it.
#ifndef PARITY_WORKER_TOKENIZER_SEGMENT_H_
#define PARITY_WORKER_TOKENIZER_SEGMENT_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "worker/tokenizer/code_point_class.h"

namespace parity::tokenizer {

// Positions outside the piece have no class and no code point, whatever stands there.
struct Segment {
  absl::Span<const uint32_t> text;
  absl::Span<const uint8_t> classes;  // as long as text

  uint8_t At(size_t i) const { return i < classes.size() ? classes[i] : 0; }
  uint32_t Code(size_t i) const { return i < text.size() ? text[i] : 0xFFFFFFFF; }
};

using Lengths = std::vector<size_t>;

// Length of the run from `i` of positions that meet `in`.
template <typename In>
size_t RunOf(size_t i, In in) {
  size_t n = 0;
  while (in(i + n)) ++n;
  return n;
}

// Length of the run from `i` whose classes meet `mask`.
inline size_t Run(const Segment& s, size_t i, uint8_t mask) {
  return RunOf(i, [&](size_t k) { return (s.At(k) & mask) != 0; });
}

// Cuts the matches of an expression out of `s`; what stands between two of them stays one piece.
// `match(s, i)` is the length of the match at i, 0 for none.
template <typename Match>
void CutOut(const Segment& s, Lengths& out, Match match) {
  size_t begin = 0;
  for (size_t i = 0; i < s.text.size();) {
    const size_t n = match(s, i);
    if (n == 0) {
      ++i;
      continue;
    }
    if (i > begin) out.push_back(i - begin);
    out.push_back(n);
    i += n;
    begin = i;
  }
  if (begin < s.text.size()) out.push_back(s.text.size() - begin);
}

}  // namespace parity::tokenizer

#endif  // PARITY_WORKER_TOKENIZER_SEGMENT_H_
