#include "worker/tokenizer/tokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "tests/testing/gguf_writer.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/tiny_model.h"

namespace parity::tokenizer {
namespace {

using ::parity::testing::GgufWriter;
using ::parity::testing::StatusIs;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
constexpr EncodeOptions kPlain = {.add_special = false, .parse_special = false};

absl::StatusOr<std::unique_ptr<Tokenizer>> Create(const GgufWriter& writer) {
  const std::string bytes = writer.Serialize();
  const auto file = model::GgufFile::FromBytes(
      "v.gguf", absl::MakeConstSpan(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()));
  if (!file.ok()) return file.status();
  return Tokenizer::Create(**file);
}

std::unique_ptr<Tokenizer> Tiny() {
  GgufWriter w;
  testing::AddTinyVocabulary(w, 400);
  auto tokenizer = Create(w);
  return tokenizer.ok() ? *std::move(tokenizer) : nullptr;
}

// "▁" is U+2581. Byte tokens 3..258, then texts with scores.
GgufWriter SpmVocabulary(bool add_space_prefix) {
  std::vector<std::string> texts = {"<unk>", "<s>", "</s>"};
  std::vector<int32_t> types = {2, 3, 3};
  std::vector<float> scores = {0, 0, 0};
  for (int b = 0; b < 256; ++b) {
    char text[8];
    snprintf(text, sizeof(text), "<0x%02X>", b);
    texts.push_back(text);
    types.push_back(6);
    scores.push_back(0);
  }
  const std::vector<std::pair<std::string, float>> pieces = {
      {"\u2581", -10}, {"a", -11}, {"b", -12}, {"c", -13}, {"ab", -2}, {"bc", -1}, {"\u2581a", -3}};
  for (const auto& [text, score] : pieces) {
    texts.push_back(text);
    types.push_back(1);
    scores.push_back(score);
  }
  GgufWriter w;
  w.AddString("tokenizer.ggml.model", "llama");
  w.AddStrings("tokenizer.ggml.tokens", texts);
  w.AddI32s("tokenizer.ggml.token_type", types);
  w.AddF32s("tokenizer.ggml.scores", scores);
  w.AddBool("tokenizer.ggml.add_space_prefix", add_space_prefix);
  return w;
}
constexpr int32_t kMark = 259, kA = 260, kB = 261, kC = 262, kAb = 263, kBc = 264, kMarkA = 265;

TEST(TokenizerTest, BpeMergesWordsAndDecodesThemBack) {
  const auto tokenizer = Tiny();
  ASSERT_NE(tokenizer, nullptr);
  EXPECT_EQ(tokenizer->vocabulary(), 400);
  ASSERT_OK_AND_ASSIGN(const auto ids, tokenizer->Encode(" the cat", kPlain));
  // " the" is a whole token of the tiny vocabulary; " c", "a", "t" are what merging leaves of "
  // cat".
  EXPECT_EQ(tokenizer->Piece(ids[0], false), " the");
  ASSERT_OK_AND_ASSIGN(const std::string text, tokenizer->Decode(ids, false));
  EXPECT_EQ(text, " the cat");
}

TEST(TokenizerTest, EveryByteSequenceOfValidTextComesBack) {
  const auto tokenizer = Tiny();
  for (const std::string& text :
       {std::string("tab\tnul\0 end", 12), std::string("\u00e9\u0301 \U0001F469\u200D\U0001F680"),
        std::string("  two  spaces \r\n\n"), std::string("1234567890"), std::string()}) {
    ASSERT_OK_AND_ASSIGN(const auto ids, tokenizer->Encode(text, kPlain));
    ASSERT_OK_AND_ASSIGN(const std::string back, tokenizer->Decode(ids, false));
    EXPECT_EQ(back, text);
    std::string pieces;
    for (int32_t id : ids) pieces += tokenizer->Piece(id, false);
    EXPECT_EQ(pieces, text);
  }
}

TEST(TokenizerTest, ControlTokensAreParsedAndPrintedOnlyWhenAsked) {
  const auto tokenizer = Tiny();
  const std::string text = "<|im_start|>a";
  ASSERT_OK_AND_ASSIGN(const auto parsed, tokenizer->Encode(text, {}));
  ASSERT_EQ(parsed.size(), 2u);
  EXPECT_EQ(parsed[0], testing::kTinyImStart);
  ASSERT_OK_AND_ASSIGN(const auto plain, tokenizer->Encode(text, kPlain));
  EXPECT_GT(plain.size(), 5u);
  ASSERT_OK_AND_ASSIGN(const std::string hidden, tokenizer->Decode(parsed, false));
  EXPECT_EQ(hidden, "a");
  ASSERT_OK_AND_ASSIGN(const std::string printed, tokenizer->Decode(parsed, true));
  EXPECT_EQ(printed, text);
}

TEST(TokenizerTest, EndOfGenerationIsEosAndTheWellKnownTexts) {
  const auto tokenizer = Tiny();
  EXPECT_THAT(tokenizer->end_of_generation_ids(),
              ElementsAre(testing::kTinyEndOfText, testing::kTinyImEnd));
  EXPECT_TRUE(tokenizer->IsEndOfGeneration(testing::kTinyImEnd));
  EXPECT_FALSE(tokenizer->IsEndOfGeneration(testing::kTinyImStart));
}

TEST(TokenizerTest, SpmJoinsTheBestScoreFirst) {
  ASSERT_OK_AND_ASSIGN(const auto tokenizer, Create(SpmVocabulary(true)));
  // "▁abc": bc (-1) before ab (-2), then ▁a (-3).
  ASSERT_OK_AND_ASSIGN(const auto ids, tokenizer->Encode("abc", {}));
  EXPECT_THAT(ids, ElementsAre(1, kMarkA, kBc));
  ASSERT_OK_AND_ASSIGN(const std::string text, tokenizer->Decode(ids, false));
  EXPECT_EQ(text, "abc");
  // The space comes again behind a special token, and goes again.
  ASSERT_OK_AND_ASSIGN(const auto two, tokenizer->Encode("a</s>b", kPlain));
  EXPECT_GT(two.size(), 3u);
  ASSERT_OK_AND_ASSIGN(const auto cut, tokenizer->Encode("a</s>b", {}));
  EXPECT_THAT(cut, ElementsAre(1, kMarkA, 2, kMark, kB));
  ASSERT_OK_AND_ASSIGN(const std::string back, tokenizer->Decode(cut, true));
  EXPECT_EQ(back, "<s>a</s>b");
}

TEST(TokenizerTest, SpmWithoutPrefixAndWithByteFallback) {
  ASSERT_OK_AND_ASSIGN(const auto tokenizer, Create(SpmVocabulary(false)));
  ASSERT_OK_AND_ASSIGN(const auto ids, tokenizer->Encode("ab c", kPlain));
  EXPECT_THAT(ids, ElementsAre(kAb, kMark, kC));
  // U+00E9 is no token: its two bytes; an invalid byte likewise.
  ASSERT_OK_AND_ASSIGN(const auto bytes, tokenizer->Encode("a\u00e9\xFF", kPlain));
  EXPECT_THAT(bytes, ElementsAre(kA, 3 + 0xC3, 3 + 0xA9, 3 + 0xFF));
  ASSERT_OK_AND_ASSIGN(const std::string back, tokenizer->Decode(bytes, false));
  EXPECT_EQ(back, "a\u00e9\xFF");
  ASSERT_OK_AND_ASSIGN(const std::string spaces, tokenizer->Decode({kMark, kA}, false));
  EXPECT_EQ(spaces, " a");
}

TEST(TokenizerTest, BadInputIsNamed) {
  const auto tokenizer = Tiny();
  EXPECT_THAT(tokenizer->Decode({1, 400}, false),
              StatusIs(kInvalid, "token id 400 at index 1 is outside the vocabulary of 400"));
  EXPECT_THAT(tokenizer->Decode({-1}, false),
              StatusIs(kInvalid, "token id -1 at index 0 is outside the vocabulary of 400"));
  EXPECT_THAT(tokenizer->Encode(std::string((4 << 20) + 1, 'a'), kPlain),
              StatusIs(kInvalid, "text of 4194305 bytes, at most 4194304 expected"));
}

TEST(TokenizerTest, BytesWithoutATokenAreLeftOutAndCounted) {
  GgufWriter w;
  w.AddString("tokenizer.ggml.model", "gpt2");
  w.AddStrings("tokenizer.ggml.tokens", {"a", "b"});
  w.AddStrings("tokenizer.ggml.merges", {"a b", "\u0120 a", "broken", ""});
  ASSERT_OK_AND_ASSIGN(const auto tokenizer, Create(w));
  size_t dropped = 99;
  EncodeOptions options = kPlain;
  options.dropped_bytes = &dropped;
  // "ab" merges to what is no token: its bytes are.
  ASSERT_OK_AND_ASSIGN(const auto ids, tokenizer->Encode("ab", options));
  EXPECT_THAT(ids, ElementsAre(0, 1));
  EXPECT_EQ(dropped, 0u);
  ASSERT_OK_AND_ASSIGN(const auto some, tokenizer->Encode("b c a", options));
  EXPECT_THAT(some, ElementsAre(1, 0));
  EXPECT_EQ(dropped, 3u);  // both spaces and the c
}

TEST(TokenizerTest, SpmRefusesAByteWithoutAToken) {
  GgufWriter w;
  w.AddString("tokenizer.ggml.model", "llama");
  w.AddStrings("tokenizer.ggml.tokens", {"<unk>", "<s>", "</s>", "a"});
  ASSERT_OK_AND_ASSIGN(const auto tokenizer, Create(w));
  EXPECT_THAT(tokenizer->Encode("a", kPlain),
              StatusIs(kInvalid, "the vocabulary has no token for byte 0xE2"));
}

// Token texts are characters with U+2581 for a space, bytes "<0xXX>", and runs of line ends.
TEST(TokenizerTest, CharacterBpeMergesCharactersAndFallsBackToBytes) {
  GgufWriter w;
  w.AddString("tokenizer.ggml.model", "gemma4");
  w.AddStrings("tokenizer.ggml.tokens", {"<bos>", "\u2581", "\u00e9", "\u2581\u00e9", "\n", "\n\n",
                                         "<0xC3>", "<0xBC>", "<0x61>"});
  w.AddI32s("tokenizer.ggml.token_type", {3, 1, 1, 1, 1, 1, 6, 6, 6});
  w.AddStrings("tokenizer.ggml.merges", {"\u2581 \u00e9", "\u00fc a"});
  w.AddU32("tokenizer.ggml.bos_token_id", 0);
  w.AddBool("tokenizer.ggml.add_bos_token", false);
  ASSERT_OK_AND_ASSIGN(const auto tokenizer, Create(w));
  size_t dropped = 99;
  EncodeOptions options = kPlain;
  options.dropped_bytes = &dropped;
  ASSERT_OK_AND_ASSIGN(const auto ids, tokenizer->Encode(" \u00e9 \n\n\u00fca", options));
  EXPECT_THAT(ids, ElementsAre(3, 1, 5, 6, 7, 8));
  EXPECT_EQ(dropped, 0u);
  ASSERT_OK_AND_ASSIGN(const std::string back, tokenizer->Decode(ids, false));
  EXPECT_EQ(back, " \u00e9 \n\n\u00fca");
  ASSERT_OK_AND_ASSIGN(const auto lossy, tokenizer->Encode("\u00e9\u20ac", options));
  EXPECT_THAT(lossy, ElementsAre(2));
  EXPECT_EQ(dropped, 3u);
  // BOS, though the file says no.
  ASSERT_OK_AND_ASSIGN(const auto special, tokenizer->Encode("\n", {}));
  EXPECT_THAT(special, ElementsAre(0, 4));
}

TEST(TokenizerTest, UnknownKindsAreRefusedByName) {
  GgufWriter none;
  EXPECT_THAT(Create(none), StatusIs(kInvalid, "v.gguf: key 'tokenizer.ggml.model' is missing"));
  GgufWriter bert;
  bert.AddString("tokenizer.ggml.model", "bert");
  EXPECT_THAT(Create(bert), StatusIs(absl::StatusCode::kUnimplemented,
                                     "v.gguf: tokenizer model 'bert' (pre-tokenizer '') is not "
                                     "supported; supported: gpt2, llama, gemma4"));
  GgufWriter unknown;
  unknown.AddString("tokenizer.ggml.model", "gpt2");
  unknown.AddString("tokenizer.ggml.pre", "klingon");
  EXPECT_THAT(Create(unknown), StatusIs(absl::StatusCode::kUnimplemented,
                                        HasSubstr("v.gguf: pre-tokenizer 'klingon' is not one")));
  GgufWriter merges;
  merges.AddString("tokenizer.ggml.model", "gpt2");
  merges.AddStrings("tokenizer.ggml.tokens", {"a"});
  EXPECT_THAT(Create(merges), StatusIs(kInvalid, "v.gguf: key 'tokenizer.ggml.merges' is missing"));
}

// One word of 2^20 letters: quadratic merging would take hours.
TEST(TokenizerTest, LongRunsTakeNoQuadraticTime) {
  const auto bpe = Tiny();
  ASSERT_OK_AND_ASSIGN(const auto spm, Create(SpmVocabulary(true)));
  const std::string text(1 << 20, 'a');
  const auto begin = std::chrono::steady_clock::now();
  ASSERT_OK_AND_ASSIGN(const auto bpe_ids, bpe->Encode(text, kPlain));
  ASSERT_OK_AND_ASSIGN(const auto spm_ids, spm->Encode(text, kPlain));
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(60));
  ASSERT_OK_AND_ASSIGN(const std::string back, bpe->Decode(bpe_ids, false));
  EXPECT_EQ(back, text);
  EXPECT_EQ(spm_ids.size(), text.size());  // "▁a", then each "a"
}

TEST(CompleteUtf8PrefixTest, HoldsBackUnfinishedSequencesOnly) {
  const std::string rocket = "x\U0001F680";
  for (size_t n = 0; n <= rocket.size(); ++n) {
    const size_t complete = n < 2 ? n : n < rocket.size() ? 1 : rocket.size();
    EXPECT_EQ(CompleteUtf8Prefix(absl::string_view(rocket).substr(0, n)), complete) << n;
  }
  EXPECT_EQ(CompleteUtf8Prefix("a\x80"), 2u);  // stray continuation
  EXPECT_EQ(CompleteUtf8Prefix("\x80\x80\x80\x80"), 4u);
  EXPECT_EQ(CompleteUtf8Prefix("a\xFF"), 2u);  // no lead byte
  EXPECT_EQ(CompleteUtf8Prefix("\u20ac"), 3u);
  EXPECT_EQ(CompleteUtf8Prefix("a\xE2\x82"), 1u);
}

}  // namespace
}  // namespace parity::tokenizer
