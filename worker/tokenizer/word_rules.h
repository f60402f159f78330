// The word expressions of the pre-tokenizers: each function is one expression, and gives the length
// of its match at a position (0: none). They hold for every expression of one shape:
//
//   contraction | prefix? letters contraction? | \p{N}{1,digits} | ?[^\s\p{L}\p{N}]+ ends* |
//   \s*[\r\n]+ | \s+(?!\S) | \s+
//
// Each is linear in what it matches, or what the next match begins with; none recurses.
#ifndef PARITY_WORKER_TOKENIZER_WORD_RULES_H_
#define PARITY_WORKER_TOKENIZER_WORD_RULES_H_

#include <cstddef>
#include <cstdint>

#include "absl/strings/string_view.h"
#include "worker/tokenizer/segment.h"

namespace parity::tokenizer {

inline constexpr size_t kNoLimit = static_cast<size_t>(-1);

enum class Letters : uint8_t {
  kRun,     // [^\r\n\p{L}\p{N}]?L+
  kCased,   // [^..]?U*S+|[^..]?U+S* : U is L without a-z, S is L without A-Z (libllama's reading of
            // \p{Lu}, \p{Ll})
  kPhrase,  // [^..]?(?:\p{L}\p{M}*(?: \p{L}\p{M}*)*)+
};

struct WordRules {
  bool contraction = true;  // 's 't 're 've 'm 'll 'd in any case, as a word
  Letters letters = Letters::kRun;
  bool marks_are_letters = false;   // L is [\p{L}\p{M}]
  bool marks_are_other = true;      // else they are left out of [^\s\p{L}\p{N}]
  bool contraction_behind = false;  // letters take a contraction with them
  size_t digits = 1;
  absl::string_view other_ends = "\r\n";  // what may follow [^\s\p{L}\p{N}]+ ...
  size_t most_other_ends = kNoLimit;      // ... and how many
};

// Never 0 inside the segment.
size_t Word(const Segment& s, size_t i, const WordRules& rules);

// 's|'t|'re|'ve|'m|'ll|'d
size_t Contraction(const Segment& s, size_t i, bool any_case);

// \s+(?!\S)|\s+ : a run of whitespace gives its last character to the word behind it.
size_t Whitespace(const Segment& s, size_t i);

// 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
size_t Gpt2Word(const Segment& s, size_t i);

// kimi-k2: \p{Han}+ first; letters without those, contraction behind; digits by three.
size_t KimiWord(const Segment& s, size_t i);

// [!-/:-@\[-`{-~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|
// \s*[\r\n]+|\s+(?!\S)|\s+
size_t Deepseek3Word(const Segment& s, size_t i);

// As Deepseek3Word, but ` ?[\p{P}\p{S}]+|[\r\n]|\s+(?!\S)|\s+`.
size_t Spark25Word(const Segment& s, size_t i);

}  // namespace parity::tokenizer

#endif  // PARITY_WORKER_TOKENIZER_WORD_RULES_H_
