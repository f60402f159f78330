// What a text field of a message may hold.
#ifndef PARITY_PROTO_TEXT_UTF8_H_
#define PARITY_PROTO_TEXT_UTF8_H_

#include "absl/strings/string_view.h"

namespace parity::text {

// Whether `text` is UTF-8 by the book (Unicode, table 3-7): no overlong form, no surrogate, nothing
// beyond U+10FFFF. A message with any other text in a string field cannot be read.
bool IsUtf8(absl::string_view text);

}  // namespace parity::text

#endif  // PARITY_PROTO_TEXT_UTF8_H_
