#include "worker/tokenizer/pre_tokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ctime>
#include <numeric>
#include <string>
#include <vector>

#include "tests/testing/status_matchers.h"
#include "worker/tokenizer/utf8.h"

namespace parity::tokenizer {
namespace {

using ::testing::ElementsAre;

std::vector<std::string> Words(Splitter splitter, const std::string& text) {
  const std::vector<uint32_t> code_points = CodePoints(text);
  std::vector<std::string> words;
  size_t at = 0;
  for (const size_t length : SplitWords(splitter, code_points)) {
    words.emplace_back();
    for (const size_t end = at + length; at < end; ++at) AppendUtf8(words.back(), code_points[at]);
  }
  EXPECT_EQ(at, code_points.size());
  return words;
}

// Expected words follow from the published expressions, read by hand.
TEST(PreTokenizerTest, DigitsAreTakenAsTheFamilySays) {
  EXPECT_THAT(Words(Splitter::kGpt2, "a 12345"), ElementsAre("a", " 12345"));
  EXPECT_THAT(Words(Splitter::kSmollm, "a 12345"), ElementsAre("a", " ", "1", "2", "3", "4", "5"));
  EXPECT_THAT(Words(Splitter::kLlama3, "a12345"), ElementsAre("a", "123", "45"));
  EXPECT_THAT(Words(Splitter::kQwen2, "a12"), ElementsAre("a", "1", "2"));
  EXPECT_THAT(Words(Splitter::kDefault, "x 12345"), ElementsAre("x", " ", "123", "45"));
  EXPECT_THAT(Words(Splitter::kFalcon, "x 12345"), ElementsAre("x", " ", "123", "45"));
}

TEST(PreTokenizerTest, WhitespaceRunsGiveTheirLastSpaceAway) {
  EXPECT_THAT(Words(Splitter::kGpt2, "a   b  "), ElementsAre("a", "  ", " b", "  "));
  EXPECT_THAT(Words(Splitter::kQwen2, "a \n\n b"), ElementsAre("a", " \n\n", " b"));
  EXPECT_THAT(Words(Splitter::kGpt2, "a \n\n b"), ElementsAre("a", " \n\n", " b"));
  EXPECT_THAT(Words(Splitter::kLlama3, "x!\n\ny"), ElementsAre("x", "!\n\n", "y"));
  EXPECT_THAT(Words(Splitter::kGpt2, "x!\n\ny"), ElementsAre("x", "!", "\n", "\n", "y"));
}

TEST(PreTokenizerTest, ContractionsFollowTheCaseRule) {
  EXPECT_THAT(Words(Splitter::kGpt2, "it's I'LL"), ElementsAre("it", "'s", " I", "'", "LL"));
  EXPECT_THAT(Words(Splitter::kQwen2, "it's I'LL"), ElementsAre("it", "'s", " I", "'LL"));
}

TEST(PreTokenizerTest, LettersAreUnicodesAndMarksJoinInQwen35Only) {
  EXPECT_THAT(Words(Splitter::kGpt2, "\u043d\u0435\u0449\u043e \u6211"),
              ElementsAre("\u043d\u0435\u0449\u043e", " \u6211"));
  EXPECT_THAT(Words(Splitter::kQwen2, "e\u0301x"), ElementsAre("e", "\u0301x"));
  EXPECT_THAT(Words(Splitter::kQwen35, "e\u0301x"), ElementsAre("e\u0301x"));
  // U+2EBF0, a letter since Unicode 15.1.
  EXPECT_THAT(Words(Splitter::kGpt2, "a\U0002EBF0"), ElementsAre("a\U0002EBF0"));
}

// libllama reads \p{Lu} and \p{Ll} as \p{L} without a-z and without A-Z.
TEST(PreTokenizerTest, CasedFamiliesCutBeforeCapitals) {
  EXPECT_THAT(Words(Splitter::kTekken, "camelCase HTMLx's"),
              ElementsAre("camel", "Case", " HTMLx", "'s"));
  EXPECT_THAT(Words(Splitter::kGpt4o, "camelCase HTMLx's 1234"),
              ElementsAre("camel", "Case", " HTMLx's", " ", "123", "4"));
  EXPECT_THAT(Words(Splitter::kGpt4o, "\u6211ABC"), ElementsAre("\u6211", "ABC"));
}

TEST(PreTokenizerTest, NumbersAreGroupedFromTheirEndWhereTheFamilySaysSo) {
  EXPECT_THAT(Words(Splitter::kSuperBpe, "ab1234567"), ElementsAre("ab", "1", "234", "567"));
  EXPECT_THAT(Words(Splitter::kTinyAya, "1234567"), ElementsAre("1", "234", "567"));
  EXPECT_THAT(Words(Splitter::kDeepseek3, "1234567"), ElementsAre("123", "456", "7"));
}

TEST(PreTokenizerTest, WhitespaceIsCutByPowersOfTwoInJais2) {
  EXPECT_THAT(Words(Splitter::kJais2, "a" + std::string(7, ' ') + "b"),
              ElementsAre("a", "    ", "  ", " b"));
  EXPECT_THAT(Words(Splitter::kJais2, "a    "), ElementsAre("a", "    "));
  EXPECT_THAT(Words(Splitter::kJais2, "a \n  !"), ElementsAre("a", " \n", " ", " !"));
}

TEST(PreTokenizerTest, ScriptsAreCutOutWhereTheFamilySaysSo) {
  EXPECT_THAT(Words(Splitter::kDeepseekLlm, "ab \u6211! \n"),
              ElementsAre("ab", " ", "\u6211", "!", " ", "\n"));
  EXPECT_THAT(Words(Splitter::kKimiK2, "ab\u6211\u6211c"), ElementsAre("ab", "\u6211\u6211", "c"));
  EXPECT_THAT(Words(Splitter::kLines, "a b\n\nc"), ElementsAre("a b", "\n\n", "c"));
}

// A pass that is quadratic in a run of this length takes minutes for it alone.
TEST(PreTokenizerTest, EveryFamilyIsLinearInLongRuns) {
  constexpr size_t kRun = 1 << 17;
  const std::clock_t begin = std::clock();
  for (const std::string& name : PreTokenizerNames()) {
    ASSERT_OK_AND_ASSIGN(const PreTokenizer pre, FindPreTokenizer(name));
    for (const uint32_t c : {uint32_t{' '}, uint32_t{'\n'}, uint32_t{'a'}, uint32_t{'A'},
                             uint32_t{'1'}, uint32_t{'\''}, uint32_t{0x301}, uint32_t{0x6211}}) {
      std::vector<uint32_t> text(kRun, c);
      text.push_back('x');
      const std::vector<size_t> words = SplitWords(pre.splitter, text);
      EXPECT_EQ(std::accumulate(words.begin(), words.end(), size_t{0}), text.size());
    }
  }
  EXPECT_LT((std::clock() - begin) / CLOCKS_PER_SEC, 60);
}

TEST(PreTokenizerTest, EmptyTextHasNoWords) {
  EXPECT_TRUE(SplitWords(Splitter::kDefault, {}).empty());
}

TEST(PreTokenizerTest, UnknownNamesAreRefused) {
  EXPECT_THAT(FindPreTokenizer("whitespace"),
              testing::StatusIs(absl::StatusCode::kUnimplemented,
                                "pre-tokenizer 'whitespace' is not one of the 90 supported"));
  ASSERT_OK_AND_ASSIGN(const PreTokenizer llama3, FindPreTokenizer("llama-bpe"));
  EXPECT_TRUE(llama3.ignore_merges);
  EXPECT_TRUE(llama3.add_bos);
  ASSERT_OK_AND_ASSIGN(const PreTokenizer absent, FindPreTokenizer(""));
  EXPECT_EQ(absent.splitter, Splitter::kDefault);
}

}  // namespace
}  // namespace parity::tokenizer
