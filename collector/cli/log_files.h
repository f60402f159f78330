// Several log files read as one stream, with places in the stream turned back into places in a
// file.
#ifndef PARITY_COLLECTOR_CLI_LOG_FILES_H_
#define PARITY_COLLECTOR_CLI_LOG_FILES_H_

#include <cstdint>
#include <functional>
#include <istream>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace parity::cli {

// Not thread-safe. One use.
class LogFiles {
 public:
  // "-" is `standard_input`, which outlives the object.
  LogFiles(std::vector<std::string> paths, std::istream& standard_input)
      : paths_(std::move(paths)), standard_input_(standard_input) {}

  // The source name to give an import: the file's own when there is one, else a stand-in for
  // Locate() to replace.
  std::string SourceName() const;

  // NOT_FOUND naming the first file that cannot be opened. Call before anything is sent.
  absl::Status CheckReadable() const;

  // Hands out the bytes of every file in order, in pieces, with a line break between files where
  // one is missing and without a later file's byte order mark. Stops when `piece` returns false.
  // DATA_LOSS when a file cannot be read on.
  absl::Status Read(const std::function<bool(absl::string_view)>& piece);

  // "logs:12: ..." with the stand-in's line numbers replaced by "FILE:LINE". Text without a place
  // is left alone.
  std::string Locate(absl::string_view text) const;

 private:
  absl::Status ReadOne(const std::string& path, std::istream& in,
                       const std::function<bool(absl::string_view)>& piece, bool* stopped);

  std::vector<std::string> paths_;
  std::istream& standard_input_;
  std::vector<int64_t> first_lines_;  // by file: the stream's line number of its first line
  int64_t lines_ = 0;                 // line breaks handed out
  bool at_line_start_ = true;
};

}  // namespace parity::cli

#endif  // PARITY_COLLECTOR_CLI_LOG_FILES_H_
