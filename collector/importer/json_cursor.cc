#include "collector/importer/json_cursor.h"

#include <fast_float/fast_float.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <iterator>
#include <limits>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "collector/importer/decimal_run.h"
#include "proto/status/status_macros.h"

namespace parity::importer {
namespace {

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

// 10^0 .. 10^22 are exact in double.
constexpr double kPowers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                              1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                              1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

constexpr uint64_t kWholePowers[] = {1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000};

// Eight bytes, the first in the lowest; a digit's byte is its value.
uint64_t LoadDigits(const char* p) {
  uint64_t bytes;
  std::memcpy(&bytes, p, sizeof(bytes));
  return bytes ^ 0x3030303030303030;
}

// Marks bytes that are no digit; only the lowest mark is exact, since carries go up.
uint64_t OtherThanDigits(uint64_t bytes) {
  return ((bytes + 0x7676767676767676) | bytes) & 0x8080808080808080;
}

// The number whose eight decimal digits, the first in the lowest byte, have the values 0 to 9.
uint64_t EightDigits(uint64_t digits) {
  digits = digits * 10 + (digits >> 8);  // bytes 0, 2, 4, 6: pairs
  const uint64_t low = (digits & 0x000000ff000000ff) * 0x000f424000000064;
  const uint64_t high = ((digits >> 16) & 0x000000ff000000ff) * 0x0000271000000001;
  return (low + high) >> 32;
}

void AppendUtf8(uint32_t code, std::string* out) {
  if (code < 0x80) {
    out->push_back(static_cast<char>(code));
  } else if (code < 0x800) {
    out->push_back(static_cast<char>(0xc0 | (code >> 6)));
    out->push_back(static_cast<char>(0x80 | (code & 0x3f)));
  } else if (code < 0x10000) {
    out->push_back(static_cast<char>(0xe0 | (code >> 12)));
    out->push_back(static_cast<char>(0x80 | ((code >> 6) & 0x3f)));
    out->push_back(static_cast<char>(0x80 | (code & 0x3f)));
  } else {
    out->push_back(static_cast<char>(0xf0 | (code >> 18)));
    out->push_back(static_cast<char>(0x80 | ((code >> 12) & 0x3f)));
    out->push_back(static_cast<char>(0x80 | ((code >> 6) & 0x3f)));
    out->push_back(static_cast<char>(0x80 | (code & 0x3f)));
  }
}

// "nan", "+inf", "-Infinity" ... in any case.
bool ParseNonFinite(absl::string_view word, float* out) {
  bool negative = false;
  if (!word.empty() && (word[0] == '-' || word[0] == '+')) {
    negative = word[0] == '-';
    word.remove_prefix(1);
  }
  if (absl::EqualsIgnoreCase(word, "nan")) {
    *out = std::numeric_limits<float>::quiet_NaN();
    return true;
  }
  if (absl::EqualsIgnoreCase(word, "inf") || absl::EqualsIgnoreCase(word, "infinity")) {
    const float infinity = std::numeric_limits<float>::infinity();
    *out = negative ? -infinity : infinity;
    return true;
  }
  return false;
}

}  // namespace

absl::Status JsonCursor::Error(absl::string_view expected) const {
  const absl::string_view here(at_, std::min<size_t>(end_ - at_, 16));
  return absl::InvalidArgumentError(absl::StrCat(
      "byte ", at_ - begin_ + 1, ": expected ", expected, ", found ",
      here.empty() ? "the end of the line" : absl::StrCat("\"", absl::CHexEscape(here), "\"")));
}

absl::Status JsonCursor::Expect(char c) {
  if (Take(c)) return absl::OkStatus();
  return Error(absl::StrCat("'", absl::string_view(&c, 1), "'"));
}

bool JsonCursor::TakeNull() {
  SkipSpace();
  if (end_ - at_ < 4 || std::memcmp(at_, "null", 4) != 0) return false;
  at_ += 4;
  return true;
}

bool JsonCursor::ReadHex4(uint32_t* out) {
  if (end_ - at_ < 4) return false;
  *out = 0;
  for (int i = 0; i < 4; ++i, ++at_) {
    if (!absl::ascii_isxdigit(*at_)) return false;
    const int digit = IsDigit(*at_) ? *at_ - '0' : absl::ascii_tolower(*at_) - 'a' + 10;
    *out = *out * 16 + digit;
  }
  return true;
}

absl::Status JsonCursor::ReadEscape(std::string* out) {
  if (at_ == end_) return Error("an escape");
  const char c = *at_++;
  constexpr absl::string_view kNames = "\"\\/bfnrt", kBytes = "\"\\/\b\f\n\r\t";
  if (const size_t i = kNames.find(c); i != absl::string_view::npos) {
    out->push_back(kBytes[i]);
    return absl::OkStatus();
  }
  uint32_t code = 0;
  if (c != 'u' || !ReadHex4(&code)) return Error("an escape");
  if (code >= 0xd800 && code < 0xdc00 && end_ - at_ >= 6 && at_[0] == '\\' && at_[1] == 'u') {
    at_ += 2;
    uint32_t low = 0;
    if (!ReadHex4(&low) || low < 0xdc00 || low > 0xdfff) return Error("the second of a pair");
    code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
  }
  if (code >= 0xd800 && code < 0xe000) code = 0xfffd;  // half a pair
  AppendUtf8(code, out);
  return absl::OkStatus();
}

absl::Status JsonCursor::ReadString(std::string* out) {
  RETURN_IF_ERROR(Expect('"'));
  out->clear();
  while (at_ != end_) {
    const char* run = at_;
    while (at_ != end_ && *at_ != '"' && *at_ != '\\') ++at_;
    out->append(run, at_);
    if (at_ == end_) break;
    if (*at_++ == '"') return absl::OkStatus();
    RETURN_IF_ERROR(ReadEscape(out));
  }
  return Error("the end of a string");
}

absl::Status JsonCursor::ReadInt(int64_t* out) {
  SkipSpace();
  const bool quoted = Take('"');
  const char* start = at_;
  if (Peek() == '-') ++at_;
  while (IsDigit(Peek())) ++at_;
  if (!absl::SimpleAtoi(absl::string_view(start, at_ - start), out)) {
    at_ = start;
    return Error("a whole number");
  }
  if (quoted && Peek() != '"') return Error("'\"'");
  if (quoted) ++at_;
  return absl::OkStatus();
}

const char* JsonCursor::ReadDigits(const char* p, uint64_t* mantissa) const {
  while (end_ - p >= 8) {
    const uint64_t digits = LoadDigits(p);
    const uint64_t other = OtherThanDigits(digits);
    if (other == 0) {
      *mantissa = *mantissa * 100000000 + EightDigits(digits);
      p += 8;
      continue;
    }
    const int count = std::countr_zero(other) / 8;
    if (count > 0) {
      *mantissa = *mantissa * kWholePowers[count] + EightDigits(digits << (64 - 8 * count));
    }
    return p + count;
  }
  while (p != end_ && IsDigit(*p)) *mantissa = *mantissa * 10 + (*p++ - '0');
  return p;
}

bool JsonCursor::ReadPlainFloat(float* out) {
  const char* p = at_;
  const bool negative = p != end_ && *p == '-';
  if (negative) ++p;
  const char* digits = p;
  uint64_t mantissa = 0;
  while (p != end_ && IsDigit(*p)) mantissa = mantissa * 10 + (*p++ - '0');
  int64_t count = p - digits;
  if (count == 0) return false;
  int exponent = 0;
  if (p != end_ && *p == '.') {
    const char* fraction = ++p;
    p = ReadDigits(p, &mantissa);
    if (p == fraction) return false;
    count += p - fraction;
    if (count > 18) return false;
    exponent = static_cast<int>(fraction - p);
  }
  if (count > 18) return false;  // the mantissa may have wrapped
  if (p != end_ && (*p == 'e' || *p == 'E')) {
    ++p;
    const bool minus = p != end_ && *p == '-';
    if (p != end_ && (*p == '-' || *p == '+')) ++p;
    const char* first = p;
    int power = 0;
    while (p != end_ && IsDigit(*p) && p - first < 5) power = power * 10 + (*p++ - '0');
    if (p == first || (p != end_ && IsDigit(*p))) return false;
    exponent += minus ? -power : power;
  }
  if (mantissa >> 53 != 0 || exponent < -22 || exponent > 22) return false;
  // One exact operation on exact operands: a correctly rounded double. Rounding it again to float
  // is right unless it lies exactly between two floats, where the decimal may have been on either
  // side.
  const double value = exponent < 0 ? static_cast<double>(mantissa) / kPowers[-exponent]
                                    : static_cast<double>(mantissa) * kPowers[exponent];
  if (mantissa != 0 && (value < 1.2e-38 || value > 3.4e38)) return false;
  if ((std::bit_cast<uint64_t>(value) & 0x1fffffff) == 0x10000000) return false;
  *out = static_cast<float>(negative ? -value : value);
  at_ = p;
  return true;
}

bool JsonCursor::ReadFloatRun(std::vector<float>* out) {
  const size_t before = out->size();
  const absl::string_view text(begin_, end_ - begin_);
  float run[512];
  while (true) {
    const DecimalRun decimals = ReadDecimals(text, at_ - begin_, std::size(run) - 1, run);
    at_ += decimals.bytes;
    size_t count = decimals.count;
    // What ended it may be a number written otherwise, taken only together with its comma.
    const char* start = at_;
    if (ReadPlainFloat(&run[count]) && at_ != end_ && *at_ == ',') {
      ++count;
      ++at_;
      if (at_ != end_ && static_cast<unsigned char>(*at_) <= ' ') SkipSpace();
    } else {
      at_ = start;
    }
    if (count == 0) return out->size() != before;
    out->insert(out->end(), run, run + count);
  }
}

absl::Status JsonCursor::ReadOddFloat(float* out) {
  if (Peek() == '"') {
    std::string word;
    const char* start = at_;
    RETURN_IF_ERROR(ReadString(&word));
    if (ParseNonFinite(word, out)) return absl::OkStatus();
    JsonCursor inner(word);
    if (inner.ReadFloat(out).ok() && inner.AtEnd()) return absl::OkStatus();
    at_ = start;
    return Error("a number");
  }
  const fast_float::from_chars_result result = fast_float::from_chars(at_, end_, *out);
  const char* word_end = at_;
  while (word_end != end_ &&
         (absl::ascii_isalpha(*word_end) || *word_end == '-' || *word_end == '+')) {
    ++word_end;
  }
  const absl::string_view word(at_, word_end - at_);
  if (word == "null") {
    *out = std::numeric_limits<float>::quiet_NaN();
    at_ = word_end;
    return absl::OkStatus();
  }
  if (ParseNonFinite(word, out)) {
    at_ = word_end;
    return absl::OkStatus();
  }
  if (result.ptr == at_ ||
      (result.ec != std::errc() && result.ec != std::errc::result_out_of_range)) {
    return Error("a number");
  }
  if (!std::isfinite(*out)) return Error("a number that fits binary32");
  at_ = result.ptr;
  return absl::OkStatus();
}

absl::Status JsonCursor::ReadFloat(float* out) {
  if (ReadPlainFloat(out)) return absl::OkStatus();
  return ReadOddFloat(out);
}

absl::Status JsonCursor::Skip() {
  SkipSpace();
  int64_t depth = 0;
  do {
    SkipSpace();
    if (AtEnd()) return Error("a value");
    const char c = *at_;
    if (c == '"') {
      std::string ignored;
      RETURN_IF_ERROR(ReadString(&ignored));
    } else if (c == '{' || c == '[') {
      ++depth;
      ++at_;
    } else if (c == '}' || c == ']') {
      if (--depth < 0) return Error("a value");
      ++at_;
    } else if (depth > 0 && (c == ',' || c == ':')) {
      ++at_;
    } else {
      const char* start = at_;
      while (at_ != end_ &&
             (absl::ascii_isalnum(*at_) || *at_ == '-' || *at_ == '+' || *at_ == '.')) {
        ++at_;
      }
      if (at_ == start) return Error("a value");
    }
  } while (depth > 0);
  return absl::OkStatus();
}

}  // namespace parity::importer
