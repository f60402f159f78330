#include "worker/tokenizer/word_rules.h"

#include <algorithm>

namespace parity::tokenizer {

namespace {

bool IsSmall(uint32_t c) { return c >= 'a' && c <= 'z'; }
bool IsCapital(uint32_t c) { return c >= 'A' && c <= 'Z'; }
bool IsLineEnd(const Segment& s, size_t i) { return s.Code(i) == '\r' || s.Code(i) == '\n'; }

// U*S+ at i.
size_t CapitalsThenSmall(const Segment& s, size_t i, uint8_t letter) {
  const auto small = [&](size_t k) { return (s.At(k) & letter) && !IsCapital(s.Code(k)); };
  const size_t n = RunOf(i, [&](size_t k) { return (s.At(k) & letter) && !IsSmall(s.Code(k)); });
  if (small(i + n)) return n + RunOf(i + n, small);
  // U* gives back down to its last letter that is in S too; what follows that one is not.
  for (size_t k = n; k > 0; --k) {
    if (small(i + k - 1)) return k;
  }
  return 0;
}

// U+S* at i.
size_t CapitalsMaybeSmall(const Segment& s, size_t i, uint8_t letter) {
  const size_t n = RunOf(i, [&](size_t k) { return (s.At(k) & letter) && !IsSmall(s.Code(k)); });
  if (n == 0) return 0;
  return n + RunOf(i + n, [&](size_t k) { return (s.At(k) & letter) && !IsCapital(s.Code(k)); });
}

// (?:\p{L}\p{M}*(?: \p{L}\p{M}*)*)+ at i.
size_t Phrase(const Segment& s, size_t i) {
  if (!(s.At(i) & kLetter)) return 0;
  size_t n = 1;
  for (;;) {
    if (s.At(i + n) & (kLetter | kMark)) {
      ++n;
    } else if (s.Code(i + n) == ' ' && (s.At(i + n + 1) & kLetter)) {
      n += 2;
    } else {
      return n;
    }
  }
}

// `match` behind one character [^\r\n\p{L}\p{N}] if that leads anywhere, else right at i.
template <typename Match>
size_t Prefixed(const Segment& s, size_t i, Match match) {
  if (!IsLineEnd(s, i) && s.At(i) != 0 && !(s.At(i) & (kLetter | kNumber))) {
    if (const size_t n = match(i + 1)) return 1 + n;
  }
  return match(i);
}

size_t LetterWord(const Segment& s, size_t i, const WordRules& rules) {
  const uint8_t letter = rules.marks_are_letters ? kLetter | kMark : kLetter;
  size_t n = 0;
  switch (rules.letters) {
    case Letters::kRun:
      n = Prefixed(s, i, [&](size_t k) { return Run(s, k, letter); });
      break;
    case Letters::kPhrase:
      n = Prefixed(s, i, [&](size_t k) { return Phrase(s, k); });
      break;
    case Letters::kCased:
      n = Prefixed(s, i, [&](size_t k) { return CapitalsThenSmall(s, k, letter); });
      if (n == 0) n = Prefixed(s, i, [&](size_t k) { return CapitalsMaybeSmall(s, k, letter); });
      break;
  }
  if (n > 0 && rules.contraction_behind) n += Contraction(s, i + n, /*any_case=*/true);
  return n;
}

// \s*[\r\n]+|\s+(?!\S)|\s+
size_t WhitespaceWithLineEnds(const Segment& s, size_t i) {
  for (size_t n = Run(s, i, kSpace); n > 0; --n) {
    if (IsLineEnd(s, i + n - 1)) return n;
  }
  return Whitespace(s, i);
}

size_t LineEnds(const Segment& s, size_t i) {
  return RunOf(i, [&](size_t k) { return IsLineEnd(s, k); });
}

// [!-/:-@\[-`{-~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+
size_t MarkedOrPrefixedLetters(const Segment& s, size_t i) {
  const uint32_t c = s.Code(i);
  const auto ascii_letter = [&](size_t k) { return IsSmall(s.Code(k)) || IsCapital(s.Code(k)); };
  if (c < 128 && (s.At(i) & (kPunctuation | kSymbol)) && ascii_letter(i + 1)) {
    return 1 + RunOf(i + 1, ascii_letter);
  }
  if (const size_t n = Run(s, i, kLetter | kMark)) return n;
  if (IsLineEnd(s, i) || (s.At(i) & (kPunctuation | kSymbol))) return 0;
  const size_t n = Run(s, i + 1, kLetter | kMark);
  return n > 0 ? 1 + n : 0;
}

// ?[\p{P}\p{S}]+
size_t PunctuationOrSymbols(const Segment& s, size_t i) {
  const size_t space = s.Code(i) == ' ' ? 1 : 0;
  const size_t n = Run(s, i + space, kPunctuation | kSymbol);
  return n > 0 ? space + n : 0;
}

// \p{N}{1,digits}| ?[^\s\p{L}\p{N}]+ends*|\s*[\r\n]+|\s+(?!\S)|\s+
size_t Rest(const Segment& s, size_t i, const WordRules& rules) {
  if (s.At(i) & kNumber) {
    size_t n = 1;
    while (n < rules.digits && (s.At(i + n) & kNumber)) ++n;
    return n;
  }
  const size_t space = s.Code(i) == ' ' ? 1 : 0;
  const auto other = [&](size_t k) {
    return (s.At(k) & kOther) && (rules.marks_are_other || !(s.At(k) & kMark));
  };
  if (!other(i + space)) return WhitespaceWithLineEnds(s, i);
  const size_t n = space + RunOf(i + space, other);
  return n + std::min(rules.most_other_ends, RunOf(i + n, [&](size_t k) {
                        const uint32_t c = s.Code(k);
                        return c < 128 && rules.other_ends.find(static_cast<char>(c)) !=
                                              absl::string_view::npos;
                      }));
}

}  // namespace

size_t Contraction(const Segment& s, size_t i, bool any_case) {
  if (s.Code(i) != '\'') return 0;
  const auto letter = [&](size_t k) {
    const uint32_t c = s.Code(k);
    return any_case && IsCapital(c) ? c + ('a' - 'A') : c;
  };
  const uint32_t a = letter(i + 1);
  if (a == 's' || a == 't' || a == 'm' || a == 'd') return 2;
  const uint32_t b = letter(i + 2);
  return (a == 'r' && b == 'e') || (a == 'v' && b == 'e') || (a == 'l' && b == 'l') ? 3 : 0;
}

size_t Whitespace(const Segment& s, size_t i) {
  const size_t n = Run(s, i, kSpace);
  return n > 1 && i + n < s.text.size() ? n - 1 : n;
}

size_t Gpt2Word(const Segment& s, size_t i) {
  if (const size_t n = Contraction(s, i, /*any_case=*/false)) return n;
  const size_t space = s.Code(i) == ' ' ? 1 : 0;
  for (const uint8_t mask : {kLetter, kNumber, kOther}) {
    if (s.At(i + space) & mask) return space + Run(s, i + space, mask);
  }
  return Whitespace(s, i);
}

size_t Word(const Segment& s, size_t i, const WordRules& rules) {
  if (rules.contraction) {
    if (const size_t n = Contraction(s, i, /*any_case=*/true)) return n;
  }
  if (const size_t n = LetterWord(s, i, rules)) return n;
  return Rest(s, i, rules);
}

size_t KimiWord(const Segment& s, size_t i) {
  if (const size_t n = Run(s, i, kHan)) return n;
  const auto letter = [&](size_t k) { return (s.At(k) & (kLetter | kHan)) == kLetter; };
  if (const size_t n = Prefixed(s, i, [&](size_t k) { return RunOf(k, letter); })) {
    return n + Contraction(s, i + n, /*any_case=*/true);
  }
  return Rest(s, i, {.digits = 3});
}

size_t Deepseek3Word(const Segment& s, size_t i) {
  if (const size_t n = MarkedOrPrefixedLetters(s, i)) return n;
  if (const size_t n = PunctuationOrSymbols(s, i)) return n + LineEnds(s, i + n);
  return WhitespaceWithLineEnds(s, i);
}

size_t Spark25Word(const Segment& s, size_t i) {
  if (const size_t n = MarkedOrPrefixedLetters(s, i)) return n;
  if (const size_t n = PunctuationOrSymbols(s, i)) return n;
  return IsLineEnd(s, i) ? 1 : Whitespace(s, i);
}

}  // namespace parity::tokenizer
