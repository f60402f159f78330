#include "worker/tokenizer/utf8.h"

#include "absl/strings/str_replace.h"

namespace parity::tokenizer {

namespace {

constexpr uint32_t kLastCodePoint = 0x10FFFF;

bool IsContinuation(char c) { return (static_cast<uint8_t>(c) & 0xC0) == 0x80; }

}  // namespace

size_t SequenceBytes(uint8_t lead) {
  static constexpr uint8_t kByHighNibble[16] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 3, 4};
  return kByHighNibble[lead >> 4];
}

std::vector<uint32_t> CodePoints(absl::string_view text) {
  std::vector<uint32_t> out;
  out.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    const uint8_t lead = static_cast<uint8_t>(text[at]);
    const size_t length = SequenceBytes(lead);
    if (lead < 0x80) {
      out.push_back(lead);
      ++at;
      continue;
    }
    uint32_t code_point = lead & (0xFF >> (length + 1));
    bool valid = length > 1 && lead < 0xF8 && length <= text.size() - at;
    for (size_t i = 1; valid && i < length; ++i) {
      valid = IsContinuation(text[at + i]);
      code_point = code_point << 6 | (static_cast<uint8_t>(text[at + i]) & 0x3F);
    }
    valid = valid && code_point <= kLastCodePoint;
    out.push_back(valid ? code_point : kReplacement);
    at += valid ? length : 1;
  }
  return out;
}

void AppendUtf8(std::string& out, uint32_t code_point) {
  const auto tail = [&](int shift) {
    out.push_back(static_cast<char>(0x80 | ((code_point >> shift) & 0x3F)));
  };
  if (code_point < 0x80) {
    out.push_back(static_cast<char>(code_point));
  } else if (code_point < 0x800) {
    out.push_back(static_cast<char>(0xC0 | (code_point >> 6)));
    tail(0);
  } else if (code_point < 0x10000) {
    out.push_back(static_cast<char>(0xE0 | (code_point >> 12)));
    tail(6);
    tail(0);
  } else {
    out.push_back(static_cast<char>(0xF0 | (code_point >> 18)));
    tail(12);
    tail(6);
    tail(0);
  }
}

std::string WithSpaceMarks(absl::string_view text) {
  return absl::StrReplaceAll(text, {{" ", kSpaceMark}});
}

std::string WithoutSpaceMarks(absl::string_view token) {
  return absl::StrReplaceAll(token, {{kSpaceMark, " "}});
}

}  // namespace parity::tokenizer
