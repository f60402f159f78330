#include "proto/text/utf8.h"

#include <gtest/gtest.h>
#include <simdjson.h>

#include <cstdint>
#include <string>

namespace parity::text {
namespace {

// The oracle.
bool SimdjsonTakes(const std::string& text) {
  return simdjson::validate_utf8(text.data(), text.size());
}

TEST(Utf8Test, KnowsWhatAMessageMayHold) {
  for (const char* good : {"", "abc", "\u00e9\u20ac\U0001F680", "\uFFFD", "\U0010FFFF"}) {
    EXPECT_TRUE(IsUtf8(good)) << good;
  }
  // Stray, cut off, overlong, a surrogate, beyond the last code point.
  for (const char* bad : {"\xff", "a\xc3", "\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80"}) {
    EXPECT_FALSE(IsUtf8(bad)) << bad;
  }
  EXPECT_TRUE(IsUtf8(absl::string_view("a\0b", 3)));
}

TEST(Utf8Test, AgreesWithSimdjsonOnEveryTextOfThreeBytes) {
  std::string text(3, '\0');
  int differing = 0;
  for (uint32_t bits = 0; bits < 1u << 24; ++bits) {
    for (int i = 0; i < 3; ++i) text[i] = static_cast<char>(bits >> (8 * i));
    differing += IsUtf8(text) != SimdjsonTakes(text);
  }
  EXPECT_EQ(differing, 0);
}

TEST(Utf8Test, AgreesWithSimdjsonOnTextsOfFourBytes) {
  // Every first and second byte; of the others both ends of each range, and what is just outside.
  const uint8_t tails[] = {0x00, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xFF};
  std::string text(4, '\0');
  for (int lead = 0; lead < 256; ++lead) {
    for (int second = 0; second < 256; ++second) {
      for (const uint8_t third : tails) {
        for (const uint8_t fourth : tails) {
          text = {static_cast<char>(lead), static_cast<char>(second), static_cast<char>(third),
                  static_cast<char>(fourth)};
          ASSERT_EQ(IsUtf8(text), SimdjsonTakes(text))
              << std::hex << lead << " " << second << " " << int{third} << " " << int{fourth};
        }
      }
    }
  }
}

}  // namespace
}  // namespace parity::text
