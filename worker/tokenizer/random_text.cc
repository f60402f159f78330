#include "worker/tokenizer/random_text.h"

#include <iterator>

#include "worker/tokenizer/utf8.h"

namespace parity::tokenizer {

namespace {

// Texts that the splitters and mergers treat differently.
constexpr const char* kFragments[] = {" ",
                                      "  ",
                                      "   ",
                                      "\n",
                                      "\n\n",
                                      "\r\n",
                                      "\t",
                                      " \n ",
                                      "a",
                                      "the",
                                      "The",
                                      "THE",
                                      " the",
                                      "hello world",
                                      "don't",
                                      "DON'T",
                                      "we'll",
                                      "I'VE",
                                      "'",
                                      "''s",
                                      "x'Re",
                                      "1",
                                      "12",
                                      "123",
                                      "1234567",
                                      "\u0661\u0662",
                                      "\u00bd",
                                      "\u2167",
                                      "\u4e09",
                                      "!",
                                      "?!",
                                      "...",
                                      "--",
                                      "==>",
                                      "$+<=>^~|`",
                                      "()[]{}",
                                      "\"",
                                      "\\n",
                                      "/* x */",
                                      "//",
                                      "!\r\n/",
                                      "_",
                                      "#!",
                                      "na\u00efve",
                                      "stra\u00dfe",
                                      "\u0130",
                                      "\u017f",
                                      "\u212a",
                                      "camelCase",
                                      "HTMLParser",
                                      "\u4f60A\u597dB",
                                      "\u2581",
                                      "\u2581\u2581",
                                      "\ufffd",
                                      "\ufeff",
                                      "\u200b",
                                      "\u200d",
                                      "<|im_start|>",
                                      "<|im_end|>",
                                      "<|endoftext|>",
                                      "<s>",
                                      "</s>",
                                      "<unk>",
                                      "<bos>",
                                      "<start_of_turn>",
                                      "<|im_",
                                      "<0x41>",
                                      "<sentinel:12>",
                                      "IMGIMGABZ",
                                      "def f(x):\n    return x\n",
                                      "https://a.b/c?d=e&f",
                                      "\x1b[0m"};

constexpr uint32_t kSpaces[] = {0x09,   0x0A,   0x0B,   0x0C,   0x0D,   0x20,   0x20,
                                0x20,   0x85,   0xA0,   0x1680, 0x2000, 0x2003, 0x2007,
                                0x200A, 0x2028, 0x2029, 0x202F, 0x205F, 0x3000};

struct Range {
  uint32_t first, last;
};

constexpr Range kScripts[] = {
    {'a', 'z'},         {'A', 'Z'},         {'A', 'z'},         {0xC0, 0x24F},       // Latin
    {0x370, 0x3FF},     {0x400, 0x52F},     {0x531, 0x58F},     {0x590, 0x5FF},      // .. Hebrew
    {0x600, 0x6FF},     {0x700, 0x74F},     {0x900, 0x97F},     {0x980, 0x9FF},      // .. Bengali
    {0xB80, 0xBFF},     {0xE00, 0xE7F},     {0xE80, 0xEFF},     {0xF00, 0xFFF},      // .. Tibetan
    {0x1000, 0x109F},   {0x10A0, 0x10FF},   {0x1100, 0x11FF},   {0x1200, 0x137F},    // .. Ethiopic
    {0x13A0, 0x13FF},   {0x1780, 0x17FF},   {0x1C90, 0x1CBF},   {0x1D00, 0x1DBF},    // .. phonetic
    {0x1E00, 0x1FFF},   {0x2000, 0x206F},   {0x2070, 0x20CF},   {0x2100, 0x218F},    // .. numbers
    {0x2190, 0x23FF},   {0x2460, 0x27BF},   {0x2E80, 0x2FFF},   {0x3000, 0x303F},    // .. CJK marks
    {0x3040, 0x30FF},   {0x3100, 0x318F},   {0x31C0, 0x31FF},   {0x3400, 0x4DBF},    // .. CJK A
    {0x4E00, 0x9FFF},   {0xA640, 0xA69F},   {0xA9E0, 0xA9FF},   {0xAA60, 0xAA7F},    // .. Myanmar
    {0xAC00, 0xD7AF},   {0xE000, 0xE0FF},   {0xF900, 0xFAFF},   {0xFB00, 0xFDFF},    // .. Arabic
    {0xFE00, 0xFE6F},   {0xFF00, 0xFFEF},   {0x10400, 0x1044F}, {0x104B0, 0x104FB},  // .. Osage
    {0x1D400, 0x1D7FF}, {0x1E900, 0x1E95F}, {0x1F100, 0x1F1FF}, {0x20000, 0x2A6DF},  // .. CJK B
    {0x2EBF0, 0x2EE5D}, {0x2F800, 0x2FA1F}, {0xE0000, 0xE007F}, {0x10FF00, 0x10FFFF}};

constexpr Range kMarks[] = {{0x300, 0x36F},   {0x483, 0x489},   {0x591, 0x5BD},   {0x610, 0x61A},
                            {0x64B, 0x65F},   {0x93A, 0x94F},   {0xE31, 0xE3A},   {0xE47, 0xE4E},
                            {0x1AB0, 0x1ACE}, {0x20D0, 0x20F0}, {0x3099, 0x309A}, {0xFE20, 0xFE2F}};

std::string Utf8(uint32_t code_point) {
  std::string out;
  AppendUtf8(out, code_point);
  return out;
}

}  // namespace

std::string RandomText::ScriptWord() {
  const Range& script = kScripts[Below(std::size(kScripts))];
  std::string out;
  for (size_t n = 1 + Below(8); n > 0; --n) AppendUtf8(out, Between(script.first, script.last));
  return out;
}

std::string RandomText::Emoji() {
  std::string out = Utf8(Between(0x1F300, 0x1FAFF));
  for (size_t n = Below(4); n > 0; --n) {
    switch (Below(4)) {
      case 0:
        out += "\u200d" + Utf8(Between(0x1F300, 0x1FAFF));
        break;
      case 1:
        out += Utf8(Between(0x1F3FB, 0x1F3FF));  // skin tone
        break;
      case 2:
        out += "\ufe0f\u20e3";
        break;
      default:
        out += Utf8(Between(0x1F1E6, 0x1F1FF)) + Utf8(Between(0x1F1E6, 0x1F1FF));  // flag
    }
  }
  return out;
}

std::string RandomText::Marked() {
  std::string out = Below(4) == 0 ? std::string() : Utf8(Between('A', 'z'));
  for (size_t n = 1 + Below(5); n > 0; --n) {
    const Range& marks = kMarks[Below(std::size(kMarks))];
    AppendUtf8(out, Between(marks.first, marks.last));
  }
  return out;
}

std::string RandomText::Invalid() {
  static const std::string kInvalid[] = {
      "\x80",         "\xff",         "\xe2\x82",         "\xc3",
      "\xed\xa0\x80", "\xed\xbf\xbf", "\xc0\xaf",         "\xe0\x80\xaf",
      "\xf0\x9f",     "\xf0\x9f\x98", "\xf0\x80\x80\xaf", "\xf8\x88\x80\x80\x80"};
  if (Below(2) == 0) return kInvalid[Below(std::size(kInvalid))];
  if (Below(40) == 0) return "\xf4\x90\x80\x80";  // above U+10FFFF
  std::string out;
  for (size_t n = 1 + Below(4); n > 0; --n) out.push_back(static_cast<char>(Below(256)));
  return out;
}

std::string RandomText::LongRun() {
  const std::string unit = Part().substr(0, 8);
  std::string out;
  for (size_t n = Below(longest_run_); n > 0; --n) out += unit;
  return out;
}

std::string RandomText::Part() {
  switch (Below(12)) {
    case 0:
      return std::string(1, static_cast<char>(Below(128)));
    case 1:
      return Utf8(Below(2) == 0 ? Between(0x80, 0xFFFF) : Between(0x10000, 0x10FFFF));
    case 2:
    case 3:
      return ScriptWord();
    case 4:
      return Emoji();
    case 5:
      return Marked();
    case 6:
      return Invalid();
    case 7: {
      std::string out;
      for (size_t n = 1 + Below(4); n > 0; --n) AppendUtf8(out, kSpaces[Below(std::size(kSpaces))]);
      return out;
    }
    case 8:
      return Utf8(Between(0, Below(2) == 0 ? 0x1F : 0x9F));
    case 9:
      if (!extra_.empty()) return extra_[Below(extra_.size())];
      [[fallthrough]];
    default:
      return kFragments[Below(std::size(kFragments))];
  }
}

std::string RandomText::Next() {
  std::string text;
  for (size_t n = 1 + Below(16); n > 0; --n) text += Part();
  if (Below(100) == 0) text += LongRun() + Part();
  return text;
}

}  // namespace parity::tokenizer
