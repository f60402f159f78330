#include "proto/text/utf8.h"

#include <unicode/utf8.h>

#include <cstdint>

namespace parity::text {

bool IsUtf8(absl::string_view text) {
  const auto* const bytes = reinterpret_cast<const uint8_t*>(text.data());
  const int64_t size = static_cast<int64_t>(text.size());
  for (int64_t i = 0; i < size;) {
    UChar32 code_point = 0;
    U8_NEXT(bytes, i, size, code_point);
    if (code_point < 0) return false;
  }
  return true;
}

}  // namespace parity::text
