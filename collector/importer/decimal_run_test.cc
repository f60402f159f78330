#include "collector/importer/decimal_run.h"

#include <gtest/gtest.h>

#include <bit>
#include <cstdint>
#include <cstdlib>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace parity::importer {
namespace {

const std::string kBefore(16, '[');  // what has to lie before the numbers
const std::string kAfter(80, ']');   // and behind them

bool Supported() {
  float value;
  return ReadDecimals(kBefore + "1.5," + kAfter, 16, 1, &value).count == 1;
}

#define SKIP_WITHOUT_AVX2() \
  if (!Supported()) GTEST_SKIP() << "this processor has no AVX2"

TEST(DecimalRunTest, EveryNumberIsRoundedOnceAsStrtofDoes) {
  SKIP_WITHOUT_AVX2();
  // glibc's strtof is correctly rounded: the oracle.
  std::mt19937_64 random(5);
  std::string text = kBefore;
  std::vector<std::string> numbers;
  for (int i = 0; i < 200000; ++i) {
    const int digits = 1 + i % 16;
    std::string number = random() % 2 == 0 ? "-" : "";
    absl::StrAppend(&number, random() % (random() % 2 == 0 ? 10 : 100), ".");
    for (int j = 0; j < digits; ++j) absl::StrAppend(&number, random() % 10);
    absl::StrAppend(&text, number, random() % 2 == 0 ? "," : ", ");
    numbers.push_back(std::move(number));
  }
  const size_t end = text.size();
  text += kAfter;
  std::vector<float> values(numbers.size());
  size_t at = kBefore.size(), read = 0;
  while (read < numbers.size()) {
    const DecimalRun run = ReadDecimals(text, at, numbers.size() - read, &values[read]);
    for (size_t i = read; i < read + run.count; ++i) {
      ASSERT_EQ(std::bit_cast<uint32_t>(values[i]),
                std::bit_cast<uint32_t>(strtof(numbers[i].c_str(), nullptr)))
          << numbers[i];
    }
    read += run.count;
    at += run.bytes;
    if (read == numbers.size()) break;
    // Only one whose digits are too many for a double is left to others.
    std::string digits = numbers[read];
    digits.erase(digits.find('.'), 1);
    ASSERT_GE(std::llabs(std::atoll(digits.c_str())), int64_t{1} << 53) << numbers[read];
    at += numbers[read].size() + 1;
    at += text[at] == ' ';
    ++read;
  }
  EXPECT_EQ(at, end);
}

TEST(DecimalRunTest, ADecimalBetweenTwoFloatsIsLeftToOthers) {
  SKIP_WITHOUT_AVX2();
  // 1 + 2^-24, to 16 digits: as a double it may be exactly between 1 and the next float.
  float value = 0;
  EXPECT_EQ(ReadDecimals(kBefore + "0.5000000298023224," + kAfter, 16, 1, &value).count, 0u);
  EXPECT_EQ(ReadDecimals(kBefore + "0.5000000298023219," + kAfter, 16, 1, &value).count, 1u);
  EXPECT_EQ(value, 0.5f);
}

TEST(DecimalRunTest, WhatIsWrittenOtherwiseEndsTheRunBeforeIt) {
  SKIP_WITHOUT_AVX2();
  for (const char* other : {"1,",
                            "123.5,",
                            "1.,",
                            ".5,",
                            "-.5,",
                            "1.5e3,",
                            "1.5 ,",
                            " 1.5,",
                            "1.5f,",
                            "1..5,",
                            "+1.5,",
                            "--1.5,",
                            ",",
                            "-,",
                            "-1,",
                            "1:5,",
                            "x.5,",
                            "NaN,",
                            "\"1.5\",",
                            "1.5],",
                            "[1.5,",
                            "1.5\t,",
                            "1/5,",
                            "1.\xb5,",
                            "1.12345678901234567,",
                            "9.1234567890123456,",
                            "1.5\x80,",
                            "-1.5-,"}) {
    float values[8] = {};
    const std::string text = absl::StrCat(kBefore, "2.25,-0.5, ", other, "3.5,", kAfter);
    const DecimalRun run = ReadDecimals(text, 16, 8, values);
    EXPECT_EQ(run.count, 2u) << other;
    EXPECT_EQ(run.bytes, 11u) << other;
    EXPECT_EQ(values[0], 2.25f);
    EXPECT_EQ(values[1], -0.5f);
  }
}

// The text lies in a buffer of its own, so that a sanitizer sees a read beyond it.
TEST(DecimalRunTest, StopsBeforeTheEndAndAtTheCapacity) {
  SKIP_WITHOUT_AVX2();
  std::string numbers;
  for (int i = 0; i < 40; ++i) absl::StrAppend(&numbers, i % 10, ".25,");
  for (size_t cut = 0; cut <= numbers.size(); ++cut) {
    const std::string all = kBefore + numbers.substr(0, cut);
    const std::vector<char> exact(all.begin(), all.end());
    float values[40];
    const DecimalRun run = ReadDecimals({exact.data(), exact.size()}, 16, 40, values);
    EXPECT_EQ(run.bytes, run.count * 5);
    EXPECT_LE(run.bytes, cut);
    EXPECT_LE(cut - run.bytes, 64u + 5u) << cut;
  }
  float values[3];
  EXPECT_EQ(ReadDecimals(kBefore + numbers + kAfter, 16, 3, values).count, 3u);
  EXPECT_EQ(ReadDecimals(kBefore + numbers + kAfter, 15, 3, values).count, 0u);
  EXPECT_EQ(ReadDecimals(numbers, 200, 3, values).count, 0u);
  EXPECT_EQ(ReadDecimals(numbers, 201, 3, values).count, 0u);
}

TEST(DecimalRunTest, SignedZerosKeepTheirSign) {
  SKIP_WITHOUT_AVX2();
  float values[2];
  ASSERT_EQ(ReadDecimals(kBefore + "0.0,-0.0," + kAfter, 16, 2, values).count, 2u);
  EXPECT_EQ(std::bit_cast<uint32_t>(values[0]), 0u);
  EXPECT_EQ(std::bit_cast<uint32_t>(values[1]), 0x80000000u);
}

}  // namespace
}  // namespace parity::importer
