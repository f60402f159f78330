#include "collector/importer/json_cursor.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_format.h"

namespace parity::importer {
namespace {

float Read(const std::string& text) {
  JsonCursor cursor(text);
  float value = 0;
  const absl::Status status = cursor.ReadFloat(&value);
  EXPECT_TRUE(status.ok()) << text << ": " << status;
  EXPECT_TRUE(cursor.AtEnd()) << text;
  return value;
}

TEST(JsonCursorTest, EveryFloatIsRoundedOnceAsStrtofDoes) {
  // glibc's strtof is correctly rounded: the oracle.
  std::mt19937 random(11);
  for (int i = 0; i < 100000; ++i) {
    const float value = std::bit_cast<float>(static_cast<uint32_t>(random()));
    if (!std::isfinite(value) || std::fabs(value) > 3.4e38f) continue;
    for (const int digits : {6, 9, 17}) {
      const std::string text = absl::StrFormat("%.*g", digits, value);
      ASSERT_EQ(std::bit_cast<uint32_t>(Read(text)),
                std::bit_cast<uint32_t>(strtof(text.c_str(), nullptr)))
          << text;
    }
  }
}

TEST(JsonCursorTest, DecimalsBetweenTwoFloatsAreRoundedOnce) {
  // 1 + 2^-24 lies between 1 and its successor; these decimals are on, just below and just above
  // it. Rounding to double first loses the difference.
  for (const char* text : {"1.000000059604644775390625", "1.00000005960464477",
                           "1.00000005960464478", "1.0000000596046448", "16777217", "16777219",
                           "0.1e1", "-0", "-0.0", "1e-45", "7e-46", "3.4028235e38", "1E+2",
                           "123456789012345678901234567890", "0.000000000000000000000000000001"}) {
    EXPECT_EQ(std::bit_cast<uint32_t>(Read(text)), std::bit_cast<uint32_t>(strtof(text, nullptr)))
        << text;
  }
}

TEST(JsonCursorTest, ARunOfNumbersIsWhatReadFloatReads) {
  std::mt19937 random(12);
  std::string text;
  std::vector<float> expected;
  for (int i = 0; i < 20000; ++i) {
    const float value = std::ldexp(static_cast<float>(random()) - 2147483648.0f,
                                   static_cast<int>(random() % 40) - 50);
    const int digits = 1 + static_cast<int>(random() % 17);
    const std::string number = i % 3 == 0 ? absl::StrFormat("%.*f", digits, value)
                                          : absl::StrFormat("%.*g", digits, value);
    expected.push_back(strtof(number.c_str(), nullptr));
    text += number + (i % 5 == 0 ? " ,\t" : i % 7 == 0 ? ", " : ",");
  }
  text += "[";
  JsonCursor cursor(text);
  std::vector<float> values;
  // A number that is none of the plain ones, or has white space behind it, ends a run.
  while (cursor.Peek() != '[') {
    if (cursor.ReadFloatRun(&values)) continue;
    float value = 0;
    ASSERT_TRUE(cursor.ReadFloat(&value).ok());
    ASSERT_TRUE(cursor.Take(','));
    cursor.SkipSpace();
    values.push_back(value);
  }
  EXPECT_EQ(values, expected);
}

TEST(JsonCursorTest, ARunEndsBeforeWhatItDoesNotTake) {
  // The text lies at the very end of its buffer, so that a read past it is one past the buffer.
  for (const std::string rest :
       {"3", "3]", "]", "\"4\",", "NaN,", "[1,", "1e,", "-,", "", "1.", "1.5e9"}) {
    const std::string text = "1,2.5," + rest;
    const std::vector<char> exact(text.begin(), text.end());
    JsonCursor cursor(absl::string_view(exact.data(), exact.size()));
    std::vector<float> values;
    EXPECT_TRUE(cursor.ReadFloatRun(&values)) << rest;
    EXPECT_EQ(values, (std::vector<float>{1, 2.5})) << rest;
    EXPECT_EQ(cursor.Peek(), rest.empty() ? '\0' : rest[0]) << rest;
    EXPECT_FALSE(cursor.ReadFloatRun(&values)) << rest;
  }
}

TEST(JsonCursorTest, NonFiniteSpellings) {
  for (const char* text : {"NaN", "nan", "\"NaN\"", "null", "-nan"}) {
    EXPECT_TRUE(std::isnan(Read(text))) << text;
  }
  for (const char* text : {"Infinity", "inf", "+inf", "\"Infinity\"", "INF"}) {
    EXPECT_EQ(Read(text), std::numeric_limits<float>::infinity()) << text;
  }
  EXPECT_EQ(Read("-Infinity"), -std::numeric_limits<float>::infinity());
  EXPECT_EQ(Read("\"1.5\""), 1.5f);
}

TEST(JsonCursorTest, WhatIsNoNumber) {
  for (const char* text : {"", "-", "x", "1e39", "-1e99", "\"1e39\"", "\"", "infinit", ".", "e5",
                           "true", "\"\"", "\"\\u0031x\""}) {
    JsonCursor cursor(text);
    float value = 0;
    EXPECT_FALSE(cursor.ReadFloat(&value).ok()) << text << " gave " << value;
  }
}

TEST(JsonCursorTest, StringsAreUnescaped) {
  const std::string text = R"("a\"\\\/\n\u00e9\u20ac\ud83d\ude00z")";
  JsonCursor cursor(text);
  std::string out;
  ASSERT_TRUE(cursor.ReadString(&out).ok());
  EXPECT_EQ(out, "a\"\\/\n\u00e9\u20ac\U0001F600z");
}

TEST(JsonCursorTest, SkipsNestedValuesWithoutRecursion) {
  const std::string deep(200000, '[');
  JsonCursor open(deep);
  EXPECT_FALSE(open.Skip().ok());
  const std::string closed = deep + std::string(200000, ']') + "x";
  JsonCursor cursor(closed);
  ASSERT_TRUE(cursor.Skip().ok());
  EXPECT_EQ(cursor.Peek(), 'x');
}

}  // namespace
}  // namespace parity::importer
