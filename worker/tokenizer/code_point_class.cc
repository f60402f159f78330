#include "worker/tokenizer/code_point_class.h"

#include <unicode/uchar.h>

#include <array>
#include <cstddef>

namespace parity::tokenizer {

namespace {

bool IsHan(uint32_t c) {
  struct Range {
    uint32_t first, last;
  };
  constexpr Range kRanges[] = {{0x3400, 0x4DBF},   {0x4E00, 0x9FFF},   {0xF900, 0xFAFF},
                               {0x20000, 0x2A6DF}, {0x2A700, 0x2EBEF}, {0x2F800, 0x2FA1F}};
  for (const Range& range : kRanges) {
    if (c >= range.first && c <= range.last) return true;
  }
  return false;
}

uint8_t Classify(uint32_t c) {
  const uint8_t han = IsHan(c) ? kHan : 0;
  // What came with Unicode 15.1, which libllama's table has and Debian 12's ICU (15.0) has not: CJK
  // Extension I and five ideographic description characters. All other code points agree.
  if (c >= 0x2EBF0 && c <= 0x2EE5D) return kLetter;
  if ((c >= 0x2FFC && c <= 0x2FFF) || c == 0x31EF) return kOther | kSymbol;
  const uint32_t category = U_GET_GC_MASK(static_cast<UChar32>(c));
  if (category & U_GC_L_MASK) return kLetter | han;
  if (category & U_GC_N_MASK) return kNumber | han;
  if (u_isUWhiteSpace(static_cast<UChar32>(c))) return kSpace;
  if (category & U_GC_P_MASK) return kOther | kPunctuation;
  if (category & U_GC_M_MASK) return kOther | kMark;
  if (category & U_GC_S_MASK) return kOther | kSymbol;
  return kOther | han;
}

}  // namespace

std::vector<uint8_t> Classes(absl::Span<const uint32_t> text) {
  static const std::array<uint8_t, 128> ascii = [] {
    std::array<uint8_t, 128> table;
    for (uint32_t c = 0; c < 128; ++c) table[c] = Classify(c);
    return table;
  }();
  std::vector<uint8_t> classes(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    classes[i] = text[i] < 128 ? ascii[text[i]] : Classify(text[i]);
  }
  return classes;
}

}  // namespace parity::tokenizer
