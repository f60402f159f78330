#include "worker/tokenizer/pre_tokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

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
