// Where a command writes: data on `out`, messages and progress on `err`.
#ifndef PARITY_COLLECTOR_CLI_CONSOLE_H_
#define PARITY_COLLECTOR_CLI_CONSOLE_H_

#include <cstdint>
#include <ostream>
#include <string>

#include "absl/strings/string_view.h"

namespace parity::cli {

struct Console {
  std::ostream& out;
  std::ostream& err;
  int width = 0;          // columns of the terminal behind `out`; 0 when it is none
  bool colour = false;    // `out` is a terminal and NO_COLOR is not set
  bool progress = false;  // `err` is a terminal

  // Standard output and error of this process.
  static Console Standard();

  // One line on `err`: "parity: MESSAGE". Line breaks in it become "; ".
  void Message(absl::string_view message) const;

  // `text` in red, yellow or green where colour is on, for a verdict word; other words are left
  // alone.
  std::string Verdict(absl::string_view text) const;
};

// "\rREADING 12.3 MB" on the terminal behind err, at most ten times a second; nothing where there
// is no terminal. Not thread-safe.
class Progress {
 public:
  // `what` outlives the object.
  Progress(const Console& console, absl::string_view what) : console_(console), what_(what) {}
  ~Progress();  // wipes the line

  void Add(int64_t bytes);

 private:
  const Console& console_;
  absl::string_view what_;
  int64_t bytes_ = 0;
  int64_t shown_at_nanos_ = 0;
};

}  // namespace parity::cli

#endif  // PARITY_COLLECTOR_CLI_CONSOLE_H_
