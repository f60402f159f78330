#include "worker/tokenizer/pre_tokenizer.h"

#include <unicode/uchar.h>

#include <array>
#include <string>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace parity::tokenizer {

namespace {

// What the expressions ask of a code point. kOther: [^\s\p{L}\p{N}]; marks and punctuation have it
// too.
enum Class : uint8_t {
  kLetter = 1,
  kNumber = 2,
  kSpace = 4,
  kOther = 8,
  kPunctuation = 16,
  kMark = 32,
};

uint8_t Classify(uint32_t c) {
  // CJK Extension I came with Unicode 15.1, which libllama's table has and Debian 12's ICU (15.0)
  // has not; nothing else that the expressions ask for differs between the two.
  if (c >= 0x2EBF0 && c <= 0x2EE5D) return kLetter;
  const uint32_t category = U_GET_GC_MASK(static_cast<UChar32>(c));
  if (category & U_GC_L_MASK) return kLetter;
  if (category & U_GC_N_MASK) return kNumber;
  if (u_isUWhiteSpace(static_cast<UChar32>(c))) return kSpace;
  if (category & U_GC_P_MASK) return kOther | kPunctuation;
  if (category & U_GC_M_MASK) return kOther | kMark;
  return kOther;
}

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

// One piece of the text; positions outside it have no class and no code point, whatever stands
// there.
struct Segment {
  absl::Span<const uint32_t> text;
  absl::Span<const uint8_t> classes;

  uint8_t At(size_t i) const { return i < classes.size() ? classes[i] : 0; }
  uint32_t Code(size_t i) const { return i < text.size() ? text[i] : 0xFFFFFFFF; }
};

using Lengths = std::vector<size_t>;

// Length of the run from `i` whose classes meet `mask`.
size_t Run(const Segment& s, size_t i, uint8_t mask) {
  size_t n = 0;
  while (s.At(i + n) & mask) ++n;
  return n;
}

// 's|'t|'re|'ve|'m|'ll|'d at i: its length or 0.
size_t Contraction(const Segment& s, size_t i, bool any_case) {
  if (s.Code(i) != '\'') return 0;
  const auto letter = [&](size_t k) {
    const uint32_t c = s.Code(k);
    return any_case && c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c;
  };
  const uint32_t a = letter(i + 1);
  if (a == 's' || a == 't' || a == 'm' || a == 'd') return 2;
  const uint32_t b = letter(i + 2);
  return (a == 'r' && b == 'e') || (a == 'v' && b == 'e') || (a == 'l' && b == 'l') ? 3 : 0;
}

// \s+(?!\S)|\s+ : a run of whitespace gives its last character to the word behind it.
size_t Whitespace(const Segment& s, size_t i) {
  const size_t n = Run(s, i, kSpace);
  return n > 1 && i + n < s.text.size() ? n - 1 : n;
}

// 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
size_t Gpt2Word(const Segment& s, size_t i) {
  if (const size_t n = Contraction(s, i, /*any_case=*/false)) return n;
  const size_t space = s.Code(i) == ' ' ? 1 : 0;
  for (const uint8_t mask : {kLetter, kNumber, kOther}) {
    if (s.At(i + space) & mask) return space + Run(s, i + space, mask);
  }
  return Whitespace(s, i);
}

// (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,digits}|
// ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+ With marks, \p{L} is [\p{L}\p{M}] (qwen35).
size_t ModernWord(const Segment& s, size_t i, size_t digits, bool marks) {
  if (const size_t n = Contraction(s, i, /*any_case=*/true)) return n;
  const uint8_t letter = marks ? kLetter | kMark : kLetter;
  const auto line_end = [&](size_t k) { return s.Code(k) == '\r' || s.Code(k) == '\n'; };
  if (!line_end(i) && !(s.At(i) & kNumber) && ((s.At(i) | s.At(i + 1)) & letter)) {
    return 1 + Run(s, i + 1, letter);
  }
  if (s.At(i) & kNumber) {
    size_t n = 1;
    while (n < digits && (s.At(i + n) & kNumber)) ++n;
    return n;
  }
  const size_t space = s.Code(i) == ' ' ? 1 : 0;
  const auto other = [&](size_t k) { return (s.At(k) & kOther) && !(marks && (s.At(k) & kMark)); };
  if (other(i + space)) {
    size_t end = i + space;
    while (other(end)) ++end;
    while (line_end(end)) ++end;
    return end - i;
  }
  const size_t run = Run(s, i, kSpace);
  for (size_t n = run; n > 0; --n) {
    if (line_end(i + n - 1)) return n;
  }
  return Whitespace(s, i);
}

// Appends the words of `s`, `word(s, i)` code points at a time.
template <typename Word>
void Tile(const Segment& s, Lengths& out, Word word) {
  for (size_t i = 0; i < s.text.size();) {
    const size_t n = std::max<size_t>(1, word(s, i));
    out.push_back(n);
    i += n;
  }
}

// Cuts the matches of an expression out of `s`; what stands between two of them stays one piece.
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

void Gpt2(const Segment& s, Lengths& out) { Tile(s, out, Gpt2Word); }

// \p{N}
void EachNumber(const Segment& s, Lengths& out) {
  CutOut(s, out, [](const Segment& t, size_t i) -> size_t { return t.At(i) & kNumber ? 1 : 0; });
}

// \p{N}+
void NumberRuns(const Segment& s, Lengths& out) {
  CutOut(s, out, [](const Segment& t, size_t i) { return Run(t, i, kNumber); });
}

// [0-9][0-9][0-9]
void ThreeDigits(const Segment& s, Lengths& out) {
  CutOut(s, out, [](const Segment& t, size_t i) -> size_t {
    for (size_t k = i; k < i + 3; ++k) {
      if (t.Code(k) < '0' || t.Code(k) > '9') return 0;
    }
    return 3;
  });
}

// [\p{P}\$\+<=>\^~\|]+ ; falcon has the back-tick too.
template <bool kBackTick>
void PunctuationRuns(const Segment& s, Lengths& out) {
  const auto in_set = [](const Segment& t, size_t i) {
    if (t.At(i) & kPunctuation) return true;
    const uint32_t c = t.Code(i);
    return c < 128 &&
           absl::string_view(kBackTick ? "$+<=>^~|`" : "$+<=>^~|").find(static_cast<char>(c)) !=
               absl::string_view::npos;
  };
  CutOut(s, out, [&](const Segment& t, size_t i) {
    size_t n = 0;
    while (in_set(t, i + n)) ++n;
    return n;
  });
}

template <size_t kDigits, bool kMarks>
void Modern(const Segment& s, Lengths& out) {
  Tile(s, out, [](const Segment& t, size_t i) { return ModernWord(t, i, kDigits, kMarks); });
}

using Pass = void (*)(const Segment&, Lengths&);

// Each pass works on the pieces that the one before left.
std::vector<Pass> Passes(Splitter splitter) {
  switch (splitter) {
    case Splitter::kGpt2:
      return {Gpt2};
    case Splitter::kSmollm:
      return {EachNumber, Gpt2};
    case Splitter::kFalcon:
      return {PunctuationRuns<true>, Gpt2, ThreeDigits};
    case Splitter::kLlama3:
      return {Modern<3, false>};
    case Splitter::kQwen2:
      return {Modern<1, false>};
    case Splitter::kQwen35:
      return {Modern<1, true>};
    case Splitter::kDefault:
      break;
  }
  return {PunctuationRuns<false>, Gpt2, NumberRuns, ThreeDigits};
}

struct Named {
  const char* name;
  PreTokenizer pre;
};

constexpr PreTokenizer kLlama3Family = {Splitter::kLlama3, /*ignore_merges=*/true,
                                        /*add_bos=*/true};

constexpr Named kNamed[] = {
    {"default", {Splitter::kDefault}},   {"gpt-2", {Splitter::kGpt2}},
    {"phi-2", {Splitter::kGpt2}},        {"mpt", {Splitter::kGpt2}},
    {"olmo", {Splitter::kGpt2}},         {"jais", {Splitter::kGpt2}},
    {"trillion", {Splitter::kGpt2}},     {"exaone4", {Splitter::kGpt2}},
    {"smollm", {Splitter::kSmollm}},     {"starcoder", {Splitter::kSmollm}},
    {"refact", {Splitter::kSmollm}},     {"command-r", {Splitter::kSmollm}},
    {"codeshell", {Splitter::kSmollm}},  {"exaone", {Splitter::kSmollm}},
    {"minerva-7b", {Splitter::kSmollm}}, {"falcon", {Splitter::kFalcon}},
    {"llama-bpe", kLlama3Family},        {"llama3", kLlama3Family},
    {"llama-v3", kLlama3Family},         {"falcon3", kLlama3Family},
    {"pixtral", kLlama3Family},          {"lfm2", kLlama3Family},
    {"smaug-bpe", {Splitter::kLlama3}},  {"dbrx", {Splitter::kLlama3}},
    {"qwen2", {Splitter::kQwen2}},       {"deepseek-r1-qwen", {Splitter::kQwen2}},
    {"stablelm2", {Splitter::kQwen2}},   {"megrez", {Splitter::kQwen2}},
    {"hunyuan", {Splitter::kQwen2}},     {"qwen35", {Splitter::kQwen35}},
};

}  // namespace

absl::StatusOr<PreTokenizer> FindPreTokenizer(absl::string_view name) {
  if (name.empty()) return PreTokenizer{Splitter::kDefault};
  std::string supported;
  for (const Named& named : kNamed) {
    if (name == named.name) return named.pre;
    absl::StrAppend(&supported, supported.empty() ? "" : ", ", named.name);
  }
  return absl::UnimplementedError(absl::StrCat("pre-tokenizer '",
                                               absl::CHexEscape(name.substr(0, 64)),
                                               "' is not supported; supported: ", supported));
}

std::vector<size_t> SplitWords(Splitter splitter, absl::Span<const uint32_t> text) {
  const std::vector<uint8_t> classes = Classes(text);
  Lengths pieces;
  if (!text.empty()) pieces.push_back(text.size());
  for (const Pass pass : Passes(splitter)) {
    Lengths next;
    next.reserve(pieces.size());
    size_t begin = 0;
    for (const size_t length : pieces) {
      pass({text.subspan(begin, length), absl::MakeConstSpan(classes).subspan(begin, length)},
           next);
      begin += length;
    }
    pieces = std::move(next);
  }
  return pieces;
}

}  // namespace parity::tokenizer
