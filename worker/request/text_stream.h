// Turns token pieces into text that may be streamed: whole UTF-8 only, and nothing of a stop
// string.
#ifndef PARITY_WORKER_REQUEST_TEXT_STREAM_H_
#define PARITY_WORKER_REQUEST_TEXT_STREAM_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace parity::request {

// Threading: one thread.
class TextStream {
 public:
  // Empty stop strings are ignored.
  explicit TextStream(std::vector<std::string> stop_strings);

  // Takes a token's bytes and returns what became printable: held back are the tail that could
  // begin a stop string and an unfinished UTF-8 sequence. Bytes that can never be UTF-8 become
  // U+FFFD. Once a stop string has appeared, everything from its first byte on is swallowed.
  std::string Add(absl::string_view piece);

  // What was held back; an unfinished sequence becomes one U+FFFD. Empty after a stop.
  std::string Flush();

  bool stopped() const { return stopped_; }

 private:
  std::string ToUtf8(absl::string_view bytes, bool final);

  const std::vector<std::string> stop_strings_;
  std::string unmatched_;   // could begin a stop string
  std::string unfinished_;  // begins a UTF-8 sequence
  bool stopped_ = false;
};

}  // namespace parity::request

#endif  // PARITY_WORKER_REQUEST_TEXT_STREAM_H_
