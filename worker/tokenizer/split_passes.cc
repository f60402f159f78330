#include "worker/tokenizer/split_passes.h"

#include <glog/logging.h>

#include <cstddef>

#include "absl/strings/string_view.h"
#include "worker/tokenizer/character_set.h"
#include "worker/tokenizer/word_rules.h"

namespace parity::tokenizer {

namespace {

// [A-Za-z...]: the cased letters of deepseek-llm.
constexpr char kDeepseekLetters[] =
    "A-Za-z\u00B5\u00C0-\u00D6\u00D8-\u00F6\u00F8-\u01BA\u01BC-\u01BF\u01C4-\u0293\u0295-"
    "\u02AF\u0370-\u0373\u0376\u0377\u037B-\u037D\u037F\u0386\u0388-\u038A\u038C\u038E-\u03A1"
    "\u03A3-\u03F5\u03F7-\u0481\u048A-\u052F\u0531-\u0556\u10A0-\u10C5\u13A0-\u13F5\u13F8-"
    "\u13FD\u1C90-\u1CBA\u1CBD-\u1CBF\u1D00-\u1D2B\u1D6B-\u1D77\u1D79-\u1D9A\u1E00-\u1F15"
    "\u1F18-\u1F1D\u1F20-\u1F45\u1F48-\u1F4D\u1F50-\u1F57\u1F59\u1F5B\u1F5D\u1F5F-\u1F7D"
    "\u1F80-\u1FB4\u1FB6-\u1FBC\u1FBE\u1FC2-\u1FC4\u1FC6-\u1FCC\u1FD0-\u1FD3\u1FD6-\u1FDB"
    "\u1FE0-\u1FEC\u1FF2-\u1FF4\u1FF6-\u1FFC\u2102\u2107\u210A-\u2113\u2115\u2119-\u211D"
    "\u2124\u2126\u2128\u212A-\u212D\u212F-\u2134\u2139\u213C-\u213F\u2145-\u2149\u214E\u2183"
    "\u2184\u2C00-\u2C7B\u2C7E-\u2CE4\u2CEB-\u2CEE\u2CF2\u2CF3\uA640-\uA66D\uA680-\uA69B"
    "\uA722-\uA76F\uA771-\uA787\uA78B-\uA78E\uAB70-\uABBF\uFB00-\uFB06\uFB13-\uFB17\uFF21-"
    "\uFF3A\uFF41-\uFF5A\U00010400-\U0001044F\U000104B0-\U000104D3\U000104D8-\U000104FB"
    "\U00010C80-\U00010CB2\U00010CC0-\U00010CF2\U000118A0-\U000118DF\U0001E900-\U0001E943";
constexpr char kDeepseekPunctuation[] =
    "!-/:-~\uFF01-\uFF0F\uFF1A-\uFF5E\u2018-\u201F\u3000-\u3002";
constexpr char kDeepseekHan[] = "\u4E00-\u9FA5\u0800-\u4E00\uAC00-\uD7FF";
constexpr char kHanAndKana[] = "\u4E00-\u9FA5\u3040-\u309F\u30A0-\u30FF";
constexpr char kHangul[] = "\uAC00-\uD7A3\u3131-\u318E";
constexpr char kCjkPunctuation[] =
    "\uFF01\u2026\u201C\u201D\u2018\u2019\u2014\uFF1A\uFF1B\uFF0C\u3001-\u303F\uFE30-\uFE4F";
constexpr char kBopomofo[] = "\u3105-\u312F";
// [^(\s|.,!?...)] but for \s.
constexpr char kPoroEnds[] = "(|.,!?\u2026\u3002\uFF0C\u3001\u0964\u06D4\u060C)";
// Han, kana, Thai, Lao, Khmer, Myanmar, Hangul; the third range begins where a normalised file put
// U+F900, and so holds much else.
constexpr char kAfmoeScripts[] =
    "\u4E00-\u9FFF\u3400-\u4DBF\u8C48-\uFAFF\u3040-\u309F\u30A0-\u30FF\uFF65-\uFF9F\u2F00-"
    "\u2FDF\u0E40-\u0E7F\u0E80-\u0EFF\u1780-\u17FF\u1000-\u109F\uAA60-\uAA7F\uA9E0-\uA9FF"
    "\uAC00-\uD7AF\u1100-\u11FF";

// ---- Expressions as functions: the length of the match at i, 0 for none.

size_t Number(const Segment& s, size_t i) { return s.At(i) & kNumber ? 1 : 0; }
size_t Numbers(const Segment& s, size_t i) { return Run(s, i, kNumber); }
size_t UpToThreeNumbers(const Segment& s, size_t i) {
  size_t n = 0;
  while (n < 3 && (s.At(i + n) & kNumber)) ++n;
  return n;
}
size_t LineEnd(const Segment& s, size_t i) {
  return s.Code(i) == '\r' || s.Code(i) == '\n' ? 1 : 0;
}

bool IsDigit(const Segment& s, size_t i) { return s.Code(i) >= '0' && s.Code(i) <= '9'; }

// [0-9][0-9][0-9]
size_t ThreeDigits(const Segment& s, size_t i) {
  return IsDigit(s, i) && IsDigit(s, i + 1) && IsDigit(s, i + 2) ? 3 : 0;
}

// \s?SET+ : white space that is in the set itself is taken either way.
template <typename In>
size_t SpacedRun(const Segment& s, size_t i, In in) {
  if (s.At(i) & kSpace) {
    if (const size_t n = RunOf(i + 1, in)) return 1 + n;
  }
  return RunOf(i, in);
}

template <const char* kContent>
bool InSet(const Segment& s, size_t i) {
  static const CharacterSet set(kContent);
  return set.At(s, i);
}

template <const char* kContent>
size_t SetRun(const Segment& s, size_t i) {
  return RunOf(i, [&](size_t k) { return InSet<kContent>(s, k); });
}

template <const char* kContent>
size_t SpacedSetRun(const Segment& s, size_t i) {
  return SpacedRun(s, i, [&](size_t k) { return InSet<kContent>(s, k); });
}

template <uint8_t kMask>
size_t SpacedClassRun(const Segment& s, size_t i) {
  return SpacedRun(s, i, [&](size_t k) { return (s.At(k) & kMask) != 0; });
}

// [\p{P}\$\+<=>\^~\|]+ ; falcon has the back-tick too.
template <bool kBackTick>
size_t PunctuationRun(const Segment& s, size_t i) {
  return RunOf(i, [&](size_t k) {
    if (s.At(k) & kPunctuation) return true;
    const uint32_t c = s.Code(k);
    return c < 128 &&
           absl::string_view(kBackTick ? "$+<=>^~|`" : "$+<=>^~|").find(static_cast<char>(c)) !=
               absl::string_view::npos;
  });
}

// [\p{P}!-/:-@\[-`{-~]
size_t PunctuationMark(const Segment& s, size_t i) {
  return (s.At(i) & kPunctuation) || (s.Code(i) < 128 && (s.At(i) & kSymbol)) ? 1 : 0;
}

// HANGUL+|PUNCTUATION+|BOPOMOFO+|HAN+
size_t YoutuScriptRun(const Segment& s, size_t i) {
  if (const size_t n = SetRun<kHangul>(s, i)) return n;
  if (const size_t n = SetRun<kCjkPunctuation>(s, i)) return n;
  if (const size_t n = SetRun<kBopomofo>(s, i)) return n;
  return SetRun<kHanAndKana>(s, i);
}

// ?[^(\s|.,!?...)]+
size_t PoroWord(const Segment& s, size_t i) {
  const auto in = [&](size_t k) {
    return s.At(k) != 0 && !(s.At(k) & kSpace) && !InSet<kPoroEnds>(s, k);
  };
  if (s.Code(i) == ' ') {
    const size_t n = RunOf(i + 1, in);
    return n > 0 ? 1 + n : 0;
  }
  return RunOf(i, in);
}

bool Literal(const Segment& s, size_t i, absl::string_view text) {
  for (size_t k = 0; k < text.size(); ++k) {
    if (s.Code(i + k) != static_cast<uint8_t>(text[k])) return false;
  }
  return true;
}

// <sentinel:[0-9]+>
size_t Sentinel(const Segment& s, size_t i) {
  constexpr absl::string_view kBegin = "<sentinel:";
  if (!Literal(s, i, kBegin)) return 0;
  const size_t digits = RunOf(i + kBegin.size(), [&](size_t k) { return IsDigit(s, k); });
  const size_t end = kBegin.size() + digits;
  return digits > 0 && s.Code(i + end) == '>' ? end + 1 : 0;
}

// (IMGIMG)((A|B|C|D|E|F|G|H|I){1,4})Z
size_t ImageToken(const Segment& s, size_t i) {
  constexpr absl::string_view kBegin = "IMGIMG";
  if (!Literal(s, i, kBegin)) return 0;
  size_t n = 0;
  while (n < 4 && s.Code(i + kBegin.size() + n) >= 'A' && s.Code(i + kBegin.size() + n) <= 'I') ++n;
  return n > 0 && s.Code(i + kBegin.size() + n) == 'Z' ? kBegin.size() + n + 1 : 0;
}

// ([\t\n]|    |  )
size_t Indentation(const Segment& s, size_t i) {
  if (s.Code(i) == '\t' || s.Code(i) == '\n') return 1;
  return Literal(s, i, "    ") ? 4 : Literal(s, i, "  ") ? 2 : 0;
}

// jais-2: as llama-bpe, but white space in pieces of 512, 256 .. 4, 2, 1 characters. `run_end` and
// `last_line_end` are those of the run of white space that i stands in, if it stands in one.
size_t Jais2Word(const Segment& s, size_t i, size_t run_end, size_t last_line_end) {
  const bool goes_with_word =
      (!LineEnd(s, i) && (s.At(i + 1) & kLetter)) || (s.Code(i) == ' ' && (s.At(i + 1) & kOther));
  if (!(s.At(i) & kSpace) || goes_with_word) return Word(s, i, {.digits = 3});
  if (last_line_end > i) return last_line_end - i;
  const size_t run = run_end - i;
  const bool at_end = run_end == s.text.size();
  for (const size_t n : {512, 256, 128, 64, 32, 16, 8, 4, 2}) {
    if (run > n || (run == n && at_end)) return n;
  }
  return 1;
}

// ---- Passes.

template <auto kMatch>
void Cut(const Segment& s, Lengths& out) {
  CutOut(s, out, kMatch);
}

constexpr WordRules kLlama3 = {.digits = 3};
constexpr WordRules kQwen2 = {};
constexpr WordRules kQwen35 = {.marks_are_letters = true, .marks_are_other = false};
constexpr WordRules kAnyDigits = {.digits = kNoLimit};
constexpr WordRules kTekken = {
    .contraction = false, .letters = Letters::kCased, .other_ends = "\r\n/"};
constexpr WordRules kGpt4o = {.contraction = false,
                              .letters = Letters::kCased,
                              .contraction_behind = true,
                              .digits = 3,
                              .other_ends = "\r\n/"};
constexpr WordRules kGraniteMultilingual = {.contraction = false,
                                            .letters = Letters::kCased,
                                            .marks_are_letters = true,
                                            .contraction_behind = true,
                                            .digits = 3,
                                            .other_ends = "\r\n/"};
// [\p{Lu}..\p{M}]*[\p{Ll}..\p{M}]+: libllama reads every \p{L.} as \p{L}.
constexpr WordRules kYoutu = {.contraction = false,
                              .marks_are_letters = true,
                              .contraction_behind = true,
                              .other_ends = "\r\n/"};
constexpr WordRules kTinyAya = {.contraction = false,
                                .marks_are_letters = true,
                                .contraction_behind = true,
                                .digits = 3,
                                .other_ends = "\r\n/"};
constexpr WordRules kSeedCoder = {.most_other_ends = 0};
constexpr WordRules kUfakzeka = {.contraction = false};
constexpr WordRules kExaoneMoe = {
    .letters = Letters::kPhrase, .other_ends = "\r\n/", .most_other_ends = 1};

template <const WordRules& kRules>
void Words(const Segment& s, Lengths& out) {
  CutOut(s, out, [](const Segment& t, size_t i) { return Word(t, i, kRules); });
}

void Jais2(const Segment& s, Lengths& out) {
  // Looked up once for each run of white space, which may be cut into many words.
  size_t run_end = 0, last_line_end = 0;
  CutOut(s, out, [&](const Segment& t, size_t i) {
    if (i >= run_end && (t.At(i) & kSpace)) {
      run_end = i + Run(t, i, kSpace);
      last_line_end = run_end;
      while (last_line_end > i && !LineEnd(t, last_line_end - 1)) --last_line_end;
    }
    return Jais2Word(t, i, run_end, last_line_end);
  });
}

// \s+$
void SpaceAtEnd(const Segment& s, Lengths& out) {
  size_t begin = s.text.size();
  while (begin > 0 && (s.At(begin - 1) & kSpace)) --begin;
  if (begin > 0) out.push_back(begin);
  if (begin < s.text.size()) out.push_back(s.text.size() - begin);
}

// libllama's splitter for afmoe and tiny_aya: a run of numbers ends pieces by threes from its end,
// 1|234|567, and the text before the run stays with the first of them.
void NumbersByThrees(const Segment& s, Lengths& out) {
  size_t begin = 0;
  for (size_t i = 0; i < s.text.size();) {
    const size_t numbers = Run(s, i, kNumber);
    const size_t first = numbers % 3 > 0 ? numbers % 3 : 3;
    for (size_t end = i + first; end <= i + numbers; end += 3) {
      out.push_back(end - begin);
      begin = end;
    }
    i += numbers + 1;
  }
  if (begin < s.text.size()) out.push_back(s.text.size() - begin);
}

// (?=(\d{3})+(?!\d)): cuts before each group of three; what stands before the first stays whole.
void DigitsByThrees(const Segment& s, Lengths& out) {
  size_t begin = 0;
  for (size_t i = 0; i < s.text.size();) {
    const size_t digits = RunOf(i, [&](size_t k) { return IsDigit(s, k); });
    for (size_t at = i + digits % 3; at < i + digits; at += 3) {
      if (at > begin) out.push_back(at - begin);
      begin = at;
    }
    i += digits + 1;
  }
  if (begin < s.text.size()) out.push_back(s.text.size() - begin);
}

// [^\n]+|[\n]+
void Lines(const Segment& s, Lengths& out) {
  CutOut(s, out, [](const Segment& t, size_t i) {
    return RunOf(i, [&](size_t k) { return t.Code(k) == '\n'; });
  });
}

constexpr Pass kGpt2Passes[] = {Cut<Gpt2Word>};
constexpr Pass kSmollmPasses[] = {Cut<Number>, Cut<Gpt2Word>};
constexpr Pass kFalconPasses[] = {Cut<PunctuationRun<true>>, Cut<Gpt2Word>, Cut<ThreeDigits>};
constexpr Pass kDefaultPasses[] = {Cut<PunctuationRun<false>>, Cut<Gpt2Word>, Cut<Numbers>,
                                   Cut<ThreeDigits>};
constexpr Pass kLlama3Passes[] = {Words<kLlama3>};
constexpr Pass kQwen2Passes[] = {Words<kQwen2>};
constexpr Pass kQwen35Passes[] = {Words<kQwen35>};
constexpr Pass kJais2Passes[] = {Jais2};
constexpr Pass kDeepseekLlmPasses[] = {
    Cut<LineEnd>, Cut<SpacedSetRun<kDeepseekLetters>>, Cut<SpacedSetRun<kDeepseekPunctuation>>,
    SpaceAtEnd,   Cut<SetRun<kDeepseekHan>>,           Cut<Numbers>};
constexpr Pass kDeepseekCoderPasses[] = {Cut<LineEnd>, Cut<SpacedClassRun<kLetter>>,
                                         Cut<SpacedClassRun<kPunctuation>>,
                                         Cut<SetRun<kDeepseekHan>>, Cut<Number>};
constexpr Pass kDeepseek3Passes[] = {Cut<UpToThreeNumbers>, Cut<SetRun<kHanAndKana>>,
                                     Cut<Deepseek3Word>};
constexpr Pass kSpark25Passes[] = {Cut<UpToThreeNumbers>, Cut<SetRun<kHanAndKana>>,
                                   Cut<Spark25Word>, Cut<Number>};
constexpr Pass kYoutuPasses[] = {Cut<YoutuScriptRun>, Words<kYoutu>};
constexpr Pass kPoroPasses[] = {Cut<PoroWord>};
constexpr Pass kVikingPasses[] = {Cut<PoroWord>, Cut<Number>};
constexpr Pass kTekkenPasses[] = {Words<kTekken>};
constexpr Pass kGpt4oPasses[] = {Words<kGpt4o>};
constexpr Pass kGraniteMultilingualPasses[] = {Words<kGraniteMultilingual>};
constexpr Pass kTinyAyaPasses[] = {NumbersByThrees, Words<kTinyAya>};
constexpr Pass kChameleonPasses[] = {Cut<Sentinel>, Cut<ImageToken>,      Cut<Indentation>,
                                     Cut<Number>,   Cut<PunctuationMark>, Cut<Gpt2Word>};
constexpr Pass kKimiK2Passes[] = {Cut<KimiWord>};
constexpr Pass kSuperBpePasses[] = {Cut<Numbers>, DigitsByThrees};
constexpr Pass kSeedCoderPasses[] = {Words<kSeedCoder>};
constexpr Pass kUfakzekaPasses[] = {Words<kUfakzeka>};
constexpr Pass kAfmoePasses[] = {NumbersByThrees, Cut<SetRun<kAfmoeScripts>>, Cut<Deepseek3Word>};
constexpr Pass kLagunaPasses[] = {Lines, Words<kQwen2>};
constexpr Pass kExaoneMoePasses[] = {Words<kExaoneMoe>};
constexpr Pass kLinesPasses[] = {Lines};
constexpr Pass kMiniCpm5Passes[] = {Cut<UpToThreeNumbers>, Words<kAnyDigits>};

struct Family {
  Splitter splitter;
  absl::Span<const Pass> passes;
};

constexpr Family kFamilies[] = {
    {Splitter::kDefault, kDefaultPasses},
    {Splitter::kGpt2, kGpt2Passes},
    {Splitter::kSmollm, kSmollmPasses},
    {Splitter::kFalcon, kFalconPasses},
    {Splitter::kLlama3, kLlama3Passes},
    {Splitter::kQwen2, kQwen2Passes},
    {Splitter::kQwen35, kQwen35Passes},
    {Splitter::kJais2, kJais2Passes},
    {Splitter::kDeepseekLlm, kDeepseekLlmPasses},
    {Splitter::kDeepseekCoder, kDeepseekCoderPasses},
    {Splitter::kDeepseek3, kDeepseek3Passes},
    {Splitter::kSpark25, kSpark25Passes},
    {Splitter::kYoutu, kYoutuPasses},
    {Splitter::kPoro, kPoroPasses},
    {Splitter::kViking, kVikingPasses},
    {Splitter::kTekken, kTekkenPasses},
    {Splitter::kGpt4o, kGpt4oPasses},
    {Splitter::kGraniteMultilingual, kGraniteMultilingualPasses},
    {Splitter::kTinyAya, kTinyAyaPasses},
    {Splitter::kChameleon, kChameleonPasses},
    {Splitter::kKimiK2, kKimiK2Passes},
    {Splitter::kSuperBpe, kSuperBpePasses},
    {Splitter::kSeedCoder, kSeedCoderPasses},
    {Splitter::kUfakzeka, kUfakzekaPasses},
    {Splitter::kAfmoe, kAfmoePasses},
    {Splitter::kLaguna, kLagunaPasses},
    {Splitter::kExaoneMoe, kExaoneMoePasses},
    {Splitter::kLines, kLinesPasses},
    {Splitter::kMiniCpm5, kMiniCpm5Passes},
};

}  // namespace

absl::Span<const Pass> Passes(Splitter splitter) {
  for (const Family& family : kFamilies) {
    if (family.splitter == splitter) return family.passes;
  }
  LOG(FATAL) << "splitter " << static_cast<int>(splitter) << " has no passes";
}

}  // namespace parity::tokenizer
