#include "worker/tokenizer/utf8.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace parity::tokenizer {
namespace {

TEST(Utf8Test, ReadsAndWritesSequencesOfEachLength) {
  const std::string text = "a\u00e9\u20ac\U0001F680";
  const std::vector<uint32_t> expected = {'a', 0xE9, 0x20AC, 0x1F680};
  EXPECT_EQ(CodePoints(text), expected);
  std::string back;
  for (uint32_t c : expected) AppendUtf8(back, c);
  EXPECT_EQ(back, text);
}

TEST(Utf8Test, BytesThatBeginNoSequenceAreReplacedOneByOne) {
  const uint32_t r = kReplacement;
  EXPECT_EQ(CodePoints("\x80z"), (std::vector<uint32_t>{r, 'z'}));
  EXPECT_EQ(CodePoints("\xE2\x82"), (std::vector<uint32_t>{r, r}));                // cut off
  EXPECT_EQ(CodePoints("\xE2z\x82"), (std::vector<uint32_t>{r, 'z', r}));          // broken
  EXPECT_EQ(CodePoints("\xF8\xFF"), (std::vector<uint32_t>{r, r}));                // no lead bytes
  EXPECT_EQ(CodePoints("\xF4\x90\x80\x80"), (std::vector<uint32_t>{r, r, r, r}));  // > U+10FFFF
}

}  // namespace
}  // namespace parity::tokenizer
