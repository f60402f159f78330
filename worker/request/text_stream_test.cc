#include "worker/request/text_stream.h"

#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace parity::request {
namespace {

std::string Feed(TextStream& stream, const std::vector<std::string>& pieces) {
  std::string text;
  for (const std::string& piece : pieces) text += stream.Add(piece) + "|";
  return text;
}

TEST(TextStreamTest, PlainTextPassesAtOnce) {
  TextStream stream({});
  EXPECT_EQ(Feed(stream, {"ab", "", "c"}), "ab||c|");
}

TEST(TextStreamTest, AnEmojiSplitOverTokensComesWhole) {
  TextStream stream({});
  EXPECT_EQ(Feed(stream, {"x\xF0", "\x9F\x98", "\x80y"}), "x||\xF0\x9F\x98\x80y|");
}

TEST(TextStreamTest, AnUnfinishedTailIsReplacedOnlyAtTheEnd) {
  TextStream stream({});
  EXPECT_EQ(Feed(stream, {"a\xE2\x82"}), "a|");
  EXPECT_EQ(stream.Flush(), "\xEF\xBF\xBD");
}

TEST(TextStreamTest, WhatCanNeverBeUtf8IsReplaced) {
  TextStream stream({});
  // A lone continuation, an overlong form, a surrogate's first two bytes, and a lead followed by a
  // letter.
  EXPECT_EQ(Feed(stream, {"\x80", "\xC0\xAF", "\xED\xA0", "\xE2q"}),
            "\xEF\xBF\xBD|\xEF\xBF\xBD\xEF\xBF\xBD|\xEF\xBF\xBD\xEF\xBF\xBD|\xEF\xBF\xBDq|");
}

TEST(TextStreamTest, AStopStringInsideOneTokenIsCutOut) {
  TextStream stream({"END"});
  EXPECT_EQ(Feed(stream, {"abENDcd"}), "ab|");
  EXPECT_TRUE(stream.stopped());
  EXPECT_EQ(Feed(stream, {"more"}), "|");
  EXPECT_EQ(stream.Flush(), "");
}

TEST(TextStreamTest, AStopStringOverThreeTokensIsHeldBackAndSwallowed) {
  TextStream stream({"\n\nQ:"});
  EXPECT_EQ(Feed(stream, {"yes\n", "\nQ", ":x"}), "yes|||");
  EXPECT_TRUE(stream.stopped());
}

TEST(TextStreamTest, WhatOnlyLookedLikeAStopStringIsReleased) {
  TextStream stream({"stop"});
  EXPECT_EQ(Feed(stream, {"st", "ore st", "sto"}), "|store |st|");
  EXPECT_FALSE(stream.stopped());
  EXPECT_EQ(stream.Flush(), "sto");
}

TEST(TextStreamTest, TheEarliestOfSeveralStopStringsWins) {
  TextStream stream({"cd", "bc"});
  EXPECT_EQ(Feed(stream, {"abcd"}), "a|");
}

TEST(TextStreamTest, ARepeatedPrefixDoesNotHideTheStop) {
  TextStream stream({"aab"});
  EXPECT_EQ(Feed(stream, {"a", "a", "a", "b"}), "||a||");
  EXPECT_TRUE(stream.stopped());
}

TEST(TextStreamTest, AStopStringMayBeginInsideAnEmojisToken) {
  TextStream stream({"\xF0\x9F\x98\x80"});
  EXPECT_EQ(Feed(stream, {"hi\xF0\x9F", "\x98\x80"}), "hi||");
  EXPECT_TRUE(stream.stopped());
}

TEST(TextStreamTest, EmptyStopStringsStopNothing) {
  TextStream stream({""});
  EXPECT_EQ(Feed(stream, {"ab"}), "ab|");
  EXPECT_FALSE(stream.stopped());
}

}  // namespace
}  // namespace parity::request
