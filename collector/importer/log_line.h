// Parses one line of a JSONL log into its fields, forgiving what older loggers write (DESIGN 7).
#ifndef PARITY_COLLECTOR_IMPORTER_LOG_LINE_H_
#define PARITY_COLLECTOR_IMPORTER_LOG_LINE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace parity::importer {

// Fields of a line. A field that is absent or null keeps its default. Other fields are skipped,
// whatever they hold.
struct LogLine {
  std::string team;
  std::string checkpoint;
  std::string dtype;
  int64_t position = -1;        // "token_idx" or "position"
  int64_t input_token_id = -1;  // "token_id" or "input_token_id"
  std::vector<int64_t> shape;   // as written, a batch axis included; empty: not given
  std::vector<float>
      values;  // nested arrays are flattened; null, NaN and Infinity in any spelling are kept
  bool has_values = false;

  // Empties the fields and keeps their memory.
  void Clear();
};

// Parses `text`, one JSON object without its line end. INVALID_ARGUMENT says what was found, what
// was expected and at which byte (1-based). A number that does not fit binary32 is an error, not an
// infinity.
absl::Status ParseLogLine(absl::string_view text, LogLine* line);

}  // namespace parity::importer

#endif  // PARITY_COLLECTOR_IMPORTER_LOG_LINE_H_
