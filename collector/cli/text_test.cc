#include "collector/cli/text.h"

#include <gtest/gtest.h>

#include <limits>
#include <string>

namespace parity::cli {
namespace {

TEST(TextTest, WidthCountsColumnsNotBytes) {
  EXPECT_EQ(DisplayWidth("abc"), 3);
  EXPECT_EQ(DisplayWidth("naïve"), 5);
  EXPECT_EQ(DisplayWidth("e\u0301"), 1);        // combining acute
  EXPECT_EQ(DisplayWidth("日本"), 4);           // wide
  EXPECT_EQ(DisplayWidth("🙂"), 2);           // emoji
  EXPECT_EQ(DisplayWidth("a\u200d\u00ad"), 1);  // joiner, soft hyphen
}

TEST(TextTest, TruncateKeepsWholeCharacters) {
  EXPECT_EQ(Truncate("abcdef", 6), "abcdef");
  EXPECT_EQ(Truncate("abcdef", 4), "abc…");
  EXPECT_EQ(Truncate("日本語", 4), "日…");
  EXPECT_LE(DisplayWidth(Truncate("日本語", 4)), 4);
}

TEST(TextTest, UntrustedBytesCannotMoveTheCursor) {
  EXPECT_EQ(Printable("a\nb\tc\r"), "a\\nb\\tc\\r");
  EXPECT_EQ(Printable("\x1b[31m"), "\\x1b[31m");
  EXPECT_EQ(Printable("\xff\xc3"), "\\xff\\xc3");
  EXPECT_EQ(Printable("\u2028"), "\\xe2\\x80\\xa8");
  EXPECT_EQ(Printable("Grüße 🙂"), "Grüße 🙂");
}

TEST(TextTest, SizesAndNumbersAreShort) {
  EXPECT_EQ(HumanBytes(0), "0 B");
  EXPECT_EQ(HumanBytes(999), "999 B");
  EXPECT_EQ(HumanBytes(1000), "1.0 kB");
  EXPECT_EQ(HumanBytes(999'960), "1.0 MB");
  EXPECT_EQ(HumanBytes(93'100'000), "93.1 MB");
  EXPECT_EQ(ShortNumber(0), "0");
  EXPECT_EQ(ShortNumber(1.234e-7), "1.23e-07");
  EXPECT_EQ(ShortNumber(std::numeric_limits<double>::infinity()), "inf");
  EXPECT_EQ(ShortNumber(std::numeric_limits<double>::quiet_NaN()), "nan");
  EXPECT_EQ(UtcTime(0), "-");
  EXPECT_EQ(UtcTime(1'700'000'000'000'000'000), "2023-11-14 22:13:20");
}

}  // namespace
}  // namespace parity::cli
