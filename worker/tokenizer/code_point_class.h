// What the expressions that cut text into words ask of a code point, by libllama's table.
#ifndef PARITY_WORKER_TOKENIZER_CODE_POINT_CLASS_H_
#define PARITY_WORKER_TOKENIZER_CODE_POINT_CLASS_H_

#include <cstdint>
#include <vector>

#include "absl/types/span.h"

namespace parity::tokenizer {

// Bits. Every code point has exactly one of kLetter, kNumber, kSpace, kOther; those of kOther may
// be marks, punctuation or symbols besides.
enum Class : uint8_t {
  kLetter = 1,        // \p{L}
  kNumber = 2,        // \p{N}
  kSpace = 4,         // \s
  kOther = 8,         // [^\s\p{L}\p{N}]
  kPunctuation = 16,  // \p{P}
  kMark = 32,         // \p{M}
  kSymbol = 64,       // \p{S}
  kHan = 128,         // CJK ideographs as libllama lists them for kimi-k2, assigned or not
};

// Classes of `text`, one byte each.
std::vector<uint8_t> Classes(absl::Span<const uint32_t> text);

}  // namespace parity::tokenizer

#endif  // PARITY_WORKER_TOKENIZER_CODE_POINT_CLASS_H_
