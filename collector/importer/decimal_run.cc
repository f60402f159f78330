#include "collector/importer/decimal_run.h"

#include <bit>
#include <cstdint>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace parity::importer {
namespace {

#if defined(__x86_64__)

constexpr size_t kDigits = 16;  // after the point, at most: one register
constexpr size_t kWindow = 64;  // bytes in which commas are looked for at once

// Each within half a unit in its last place.
constexpr double kTenths[kDigits + 1] = {1e0,  1e-1,  1e-2,  1e-3,  1e-4,  1e-5,  1e-6,  1e-7, 1e-8,
                                         1e-9, 1e-10, 1e-11, 1e-12, 1e-13, 1e-14, 1e-15, 1e-16};
constexpr uint64_t kWholePowers[kDigits + 1] = {1,
                                                10,
                                                100,
                                                1000,
                                                10000,
                                                100000,
                                                1000000,
                                                10000000,
                                                100000000,
                                                1000000000,
                                                10000000000,
                                                100000000000,
                                                1000000000000,
                                                10000000000000,
                                                100000000000000,
                                                1000000000000000,
                                                10000000000000000};

// From byte n on: a register whose last n bytes are set.
alignas(32) constexpr uint8_t kLastBytes[2 * kDigits] = {
    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

__attribute__((target("avx2"))) inline uint64_t Commas(const char* window) {
  const __m256i comma = _mm256_set1_epi8(',');
  const auto mask = [&](const char* p) __attribute__((target("avx2"))) {
    const __m256i bytes = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
    return static_cast<uint32_t>(_mm256_movemask_epi8(_mm256_cmpeq_epi8(bytes, comma)));
  };
  return mask(window) | static_cast<uint64_t>(mask(window + 32)) << 32;
}

// The number that the `count` bytes before `end` spell; false if one of them is no digit. The 16
// bytes before `end` are read. REQUIRES: `count` from 1 to 16.
__attribute__((target("avx2"))) inline bool ParseDigits(const char* end, size_t count,
                                                        uint64_t* number) {
  const __m128i mask = _mm_loadu_si128(reinterpret_cast<const __m128i*>(kLastBytes + count));
  const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(end - kDigits));
  const __m128i digits = _mm_and_si128(_mm_xor_si128(bytes, _mm_set1_epi8('0')), mask);
  const __m128i above = _mm_subs_epu8(digits, _mm_set1_epi8(9));
  const __m128i twos = _mm_maddubs_epi16(digits, _mm_set1_epi16(0x010a));  // 10 a + b
  const __m128i fours = _mm_madd_epi16(twos, _mm_set1_epi32(0x00010064));  // 100 a + b
  const __m128i eights =
      _mm_madd_epi16(_mm_packus_epi32(fours, fours), _mm_set1_epi32(0x00012710));  // 10,000 a + b
  const uint64_t halves = static_cast<uint64_t>(_mm_cvtsi128_si64(eights));
  *number = (halves & 0xffffffff) * 100000000 + (halves >> 32);
  return _mm_testz_si128(above, above) != 0;
}

// The number from `p` to its comma. Reads from end - 16 to end.
__attribute__((target("avx2"))) inline bool ParseDecimal(const char* p, const char* end,
                                                         float* out) {
  const uint64_t negative = *p == '-';
  p += negative;
  uint64_t whole = static_cast<unsigned char>(*p - '0');
  if (end - p < 3 || whole > 9) return false;
  if (p[1] != '.') {
    const uint64_t second = static_cast<unsigned char>(*++p - '0');
    if (second > 9 || p[1] != '.') return false;
    whole = 10 * whole + second;
  }
  const size_t count = static_cast<size_t>(end - p) - 2;
  if (count - 1 >= kDigits) return false;
  uint64_t fraction;
  if (!ParseDigits(end, count, &fraction)) return false;
  const uint64_t mantissa = whole * kWholePowers[count] + fraction;
  if (mantissa >> 53 != 0) return false;
  // The factor and the product are each rounded once, so that the double is within two units in its
  // last place of the decimal. Rounding it again to float is right unless the middle between two
  // floats is as near as that.
  const uint64_t bits = std::bit_cast<uint64_t>(static_cast<double>(mantissa) * kTenths[count]);
  if (((bits - (0x10000000 - 2)) & 0x1fffffff) <= 4) return false;
  *out = static_cast<float>(std::bit_cast<double>(bits | negative << 63));
  return true;
}

// Where the numbers end is found for a whole window first, so that they can be parsed side by side.
__attribute__((target("avx2"))) DecimalRun ReadAvx2(absl::string_view text, size_t from,
                                                    size_t capacity, float* out) {
  DecimalRun run;
  const char* const begin = text.data() + from;
  const char* const end = text.data() + text.size();
  const char* number = begin;
  // A space may follow a comma in the window's last byte.
  for (const char* window = begin; static_cast<size_t>(end - window) > kWindow; window += kWindow) {
    for (uint64_t commas = Commas(window); commas != 0; commas &= commas - 1) {
      const char* comma = window + std::countr_zero(commas);
      if (run.count == capacity || !ParseDecimal(number, comma, out + run.count)) return run;
      ++run.count;
      number = comma + 1;
      number += *number == ' ';
      run.bytes = static_cast<size_t>(number - begin);
    }
  }
  return run;
}

#endif  // __x86_64__

}  // namespace

DecimalRun ReadDecimals(absl::string_view text, size_t from, size_t capacity, float* out) {
#if defined(__x86_64__)
  static const bool has_avx2 = __builtin_cpu_supports("avx2") != 0;
  if (has_avx2 && from >= kDigits && from <= text.size()) {
    return ReadAvx2(text, from, capacity, out);
  }
#endif
  return {};
}

}  // namespace parity::importer
