#include "collector/cli/console.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdlib>
#include <iostream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/time/clock.h"
#include "collector/cli/text.h"

namespace parity::cli {
namespace {

constexpr int64_t kProgressEveryNanos =
    100'000'000;  // ten lines a second are smooth, more is flicker

int TerminalWidth(int fd) {
  if (!isatty(fd)) return 0;
  winsize size{};
  if (ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
  return 80;
}

}  // namespace

Console Console::Standard() {
  const char* no_colour = std::getenv("NO_COLOR");
  const bool terminal = isatty(STDOUT_FILENO) != 0;
  return Console{std::cout, std::cerr, TerminalWidth(STDOUT_FILENO),
                 terminal && (no_colour == nullptr || *no_colour == '\0'),
                 isatty(STDERR_FILENO) != 0};
}

void Console::Message(absl::string_view message) const {
  err << "parity: " << Printable(absl::StrReplaceAll(message, {{"\n", "; "}})) << "\n";
}

std::string Console::Verdict(absl::string_view text) const {
  if (!colour) return std::string(text);
  const char* code = nullptr;
  if (text == "PARITY" || text == "MATCH") code = "32";
  if (text == "DRIFT" || text == "INCOMPLETE" || text == "NOT_COMPARABLE" || text == "UNMEASURED")
    code = "33";
  if (text == "DIVERGED" || text == "INVALID") code = "31";
  if (code == nullptr) return std::string(text);
  return absl::StrCat("\x1b[1;", code, "m", text, "\x1b[0m");
}

Progress::~Progress() {
  if (shown_at_nanos_ != 0) console_.err << "\r\x1b[K" << std::flush;
}

void Progress::Add(int64_t bytes) {
  bytes_ += bytes;
  if (!console_.progress) return;
  const int64_t now = absl::GetCurrentTimeNanos();
  if (now - shown_at_nanos_ < kProgressEveryNanos) return;
  shown_at_nanos_ = now;
  console_.err << "\r\x1b[K" << what_ << " " << HumanBytes(bytes_) << std::flush;
}

}  // namespace parity::cli
