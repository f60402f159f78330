// Reads the numbers of a list the way nearly all numbers of a log are written, sixteen digits at
// once.
#ifndef PARITY_COLLECTOR_IMPORTER_DECIMAL_RUN_H_
#define PARITY_COLLECTOR_IMPORTER_DECIMAL_RUN_H_

#include <cstddef>

#include "absl/strings/string_view.h"

namespace parity::importer {

struct DecimalRun {
  size_t bytes = 0;  // taken
  size_t count = 0;  // of numbers
};

// Takes numbers "[-]D.D...D," or "[-]DD.D...D," with 1 to 16 digits after the point, and one space
// after the comma if there is one, from text[from] on, and writes each rounded once to binary32.
// Stops before a number that is written otherwise or cannot be rounded by way of a double, after
// `capacity` numbers, and some bytes before the end of the text. Takes nothing on a processor
// without AVX2, or when `from` is below 16.
DecimalRun ReadDecimals(absl::string_view text, size_t from, size_t capacity, float* out);

}  // namespace parity::importer

#endif  // PARITY_COLLECTOR_IMPORTER_DECIMAL_RUN_H_
