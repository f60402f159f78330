// Walks over JSON text, with the bare words older loggers write for non-finite numbers.
#ifndef PARITY_COLLECTOR_IMPORTER_JSON_CURSOR_H_
#define PARITY_COLLECTOR_IMPORTER_JSON_CURSOR_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace parity::importer {

// Never reads past the end. Every method that returns a status leaves the cursor anywhere on error.
class JsonCursor {
 public:
  explicit JsonCursor(absl::string_view text)
      : begin_(text.data()), at_(text.data()), end_(text.data() + text.size()) {}

  void SkipSpace() {
    while (at_ != end_ && (*at_ == ' ' || *at_ == '\t' || *at_ == '\r' || *at_ == '\n')) ++at_;
  }
  bool AtEnd() const { return at_ == end_; }
  // The next byte; 0 at the end.
  char Peek() const { return at_ == end_ ? '\0' : *at_; }
  // Takes `c` if it is next (after white space).
  bool Take(char c) {
    SkipSpace();
    if (Peek() != c) return false;
    ++at_;
    return true;
  }
  // INVALID_ARGUMENT unless `c` is next.
  absl::Status Expect(char c);
  // Takes "null" if it is next.
  bool TakeNull();

  // A string with its escapes resolved.
  absl::Status ReadString(std::string* out);
  // A whole number, also inside quotes.
  absl::Status ReadInt(int64_t* out);
  // A number rounded once to binary32; null, NaN, [+-]Infinity and [+-]inf in any case, bare or in
  // quotes. White space before it must have been skipped.
  absl::Status ReadFloat(float* out);
  // Takes "number," as often as plain numbers follow one another and appends them: what ReadFloat
  // and Expect(',') would do, many times faster. Stops, before a number, at anything else; white
  // space after a comma is taken. Returns whether any was taken.
  bool ReadFloatRun(std::vector<float>* out);
  // Any value.
  absl::Status Skip();

  // "byte N: expected <what>, found <the bytes here>", in ASCII whatever the bytes are.
  absl::Status Error(absl::string_view expected) const;

 private:
  bool ReadPlainFloat(float* out);
  // Digits from `p` on, appended to *mantissa, eight at a time. REQUIRES: *mantissa has room.
  const char* ReadDigits(const char* p, uint64_t* mantissa) const;
  absl::Status ReadOddFloat(float* out);
  absl::Status ReadEscape(std::string* out);
  bool ReadHex4(uint32_t* out);

  const char* begin_;
  const char* at_;
  const char* end_;
};

}  // namespace parity::importer

#endif  // PARITY_COLLECTOR_IMPORTER_JSON_CURSOR_H_
