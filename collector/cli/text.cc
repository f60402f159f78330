#include "collector/cli/text.h"

#include <unicode/uchar.h>
#include <unicode/utf8.h>

#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/time.h"

namespace parity::cli {
namespace {

int CodePointWidth(UChar32 point) {
  switch (u_charType(point)) {
    case U_NON_SPACING_MARK:
    case U_ENCLOSING_MARK:
    case U_FORMAT_CHAR:
      return 0;
    default:
      break;
  }
  const int width = u_getIntPropertyValue(point, UCHAR_EAST_ASIAN_WIDTH);
  return width == U_EA_WIDE || width == U_EA_FULLWIDTH ? 2 : 1;
}

// Decodes the code point at *index and moves past it; negative when the bytes are not UTF-8.
UChar32 Next(absl::string_view text, int32_t* index) {
  UChar32 point = 0;
  const int32_t size = static_cast<int32_t>(text.size());
  U8_NEXT(reinterpret_cast<const uint8_t*>(text.data()), *index, size, point);
  return point;
}

}  // namespace

int DisplayWidth(absl::string_view text) {
  int width = 0;
  for (int32_t i = 0; i < static_cast<int32_t>(text.size());) {
    const UChar32 point = Next(text, &i);
    width += point < 0 ? 1 : CodePointWidth(point);
  }
  return width;
}

std::string Truncate(absl::string_view text, int width) {
  if (DisplayWidth(text) <= width) return std::string(text);
  int used = 0;
  int32_t end = 0;
  while (end < static_cast<int32_t>(text.size())) {
    int32_t next = end;
    const UChar32 point = Next(text, &next);
    used += point < 0 ? 1 : CodePointWidth(point);
    if (used > width - 1) break;
    end = next;
  }
  return absl::StrCat(text.substr(0, end), "…");
}

std::string Printable(absl::string_view bytes) {
  std::string out;
  for (int32_t i = 0; i < static_cast<int32_t>(bytes.size());) {
    const int32_t start = i;
    const UChar32 point = Next(bytes, &i);
    if (point == '\n') {
      out += "\\n";
    } else if (point == '\t') {
      out += "\\t";
    } else if (point == '\r') {
      out += "\\r";
    } else if (point >= 0 && u_charType(point) != U_CONTROL_CHAR &&
               u_charType(point) != U_LINE_SEPARATOR &&
               u_charType(point) != U_PARAGRAPH_SEPARATOR) {
      absl::StrAppend(&out, bytes.substr(start, i - start));
    } else {
      for (int32_t j = start; j < i; ++j) {
        absl::StrAppendFormat(&out, "\\x%02x", static_cast<uint8_t>(bytes[j]));
      }
    }
  }
  return out;
}

std::string HumanBytes(int64_t bytes) {
  if (bytes < 1000) return absl::StrCat(bytes, " B");
  double value = static_cast<double>(bytes);
  const char* unit = "B";
  for (const char* next : {"kB", "MB", "GB", "TB", "PB"}) {
    if (value < 999.95) break;
    value /= 1000;
    unit = next;
  }
  return absl::StrFormat("%.1f %s", value, unit);
}

std::string ShortNumber(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  return absl::StrFormat("%.3g", value);
}

std::string UtcTime(int64_t nanos_since_epoch) {
  if (nanos_since_epoch == 0) return "-";
  return absl::FormatTime("%Y-%m-%d %H:%M:%S", absl::FromUnixNanos(nanos_since_epoch),
                          absl::UTCTimeZone());
}

}  // namespace parity::cli
