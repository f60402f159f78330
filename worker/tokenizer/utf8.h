// UTF-8 to code points and back, as libllama reads it.
#ifndef PARITY_WORKER_TOKENIZER_UTF8_H_
#define PARITY_WORKER_TOKENIZER_UTF8_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace parity::tokenizer {

inline constexpr uint32_t kReplacement = 0xFFFD;

// Bytes of a sequence that begins with `lead`, by its high bits alone; 1 for a stray continuation
// byte.
size_t SequenceBytes(uint8_t lead);

// Code points; a byte that begins no sequence becomes kReplacement. Overlong forms and surrogates
// are read as written.
std::vector<uint32_t> CodePoints(absl::string_view text);

// Appends the UTF-8 of `code_point`. REQUIRES: code_point <= 0x10FFFF.
void AppendUtf8(std::string& out, uint32_t code_point);

// U+2581, which stands for a space in the token texts of SentencePiece and its kin.
inline constexpr absl::string_view kSpaceMark = "\xE2\x96\x81";
std::string WithSpaceMarks(absl::string_view text);
std::string WithoutSpaceMarks(absl::string_view token);

}  // namespace parity::tokenizer

#endif  // PARITY_WORKER_TOKENIZER_UTF8_H_
