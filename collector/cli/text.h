// Text for people: widths on a terminal, escaping of untrusted bytes, sizes and numbers.
#ifndef PARITY_COLLECTOR_CLI_TEXT_H_
#define PARITY_COLLECTOR_CLI_TEXT_H_

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"

namespace parity::cli {

// Columns `text` takes on a terminal: 2 for wide East Asian characters and emoji, 0 for combining
// marks and joiners. REQUIRES: text was made by Printable(), or is our own.
int DisplayWidth(absl::string_view text);

// The longest prefix of at most `width` columns, ending in "…" when something was cut off. width
// >= 1.
std::string Truncate(absl::string_view text, int width);

// Untrusted bytes as one harmless line: control characters and invalid UTF-8 become \n, \t, \xNN.
std::string Printable(absl::string_view bytes);

// "0 B", "1.4 kB", "93.1 MB": powers of 1000.
std::string HumanBytes(int64_t bytes);

// Three significant digits: "0", "0.00123", "1.23e-07", "inf", "nan".
std::string ShortNumber(double value);

// "2026-11-23 01:02:03" in UTC; "-" for 0.
std::string UtcTime(int64_t nanos_since_epoch);

}  // namespace parity::cli

#endif  // PARITY_COLLECTOR_CLI_TEXT_H_
