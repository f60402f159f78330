#include "proto/text/utf8.h"

#include <cstddef>
#include <cstdint>

namespace parity::text {
namespace {

bool IsWithin(char c, uint8_t first, uint8_t last) {
  const uint8_t byte = static_cast<uint8_t>(c);
  return first <= byte && byte <= last;
}

// Bytes of the sequence that `text` begins with; 0 when it begins with none. The second byte's
// range, which depends on the first, is what keeps the forbidden code points out.
size_t SequenceBytes(absl::string_view text) {
  const uint8_t lead = static_cast<uint8_t>(text[0]);
  if (lead < 0x80) return 1;
  size_t bytes = 0;
  uint8_t first = 0x80, last = 0xBF;
  if (lead >= 0xC2 && lead <= 0xDF) {
    bytes = 2;
  } else if (lead >= 0xE0 && lead <= 0xEF) {
    bytes = 3;
    if (lead == 0xE0) first = 0xA0;  // else two bytes would do
    if (lead == 0xED) last = 0x9F;   // surrogates
  } else if (lead >= 0xF0 && lead <= 0xF4) {
    bytes = 4;
    if (lead == 0xF0) first = 0x90;  // else three bytes would do
    if (lead == 0xF4) last = 0x8F;   // beyond U+10FFFF
  }
  if (bytes == 0 || text.size() < bytes || !IsWithin(text[1], first, last)) return 0;
  for (size_t i = 2; i < bytes; ++i) {
    if (!IsWithin(text[i], 0x80, 0xBF)) return 0;
  }
  return bytes;
}

}  // namespace

bool IsUtf8(absl::string_view text) {
  while (!text.empty()) {
    const size_t bytes = SequenceBytes(text);
    if (bytes == 0) return false;
    text.remove_prefix(bytes);
  }
  return true;
}

}  // namespace parity::text
