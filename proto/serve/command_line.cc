#include "proto/serve/command_line.h"

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"

namespace parity::serve {

std::string UsageError(const CLI::App& app, const CLI::ParseError& error, int argc,
                       const char* const* argv) {
  const auto chosen = app.get_subcommands();
  if (chosen.empty() && argc > 1 && argv[1][0] != '-') {
    return absl::StrCat("there is no command '", argv[1], "' (see ", app.get_name(), " --help)");
  }
  const std::string command = chosen.empty() ? "" : absl::StrCat(" ", chosen.front()->get_name());
  return absl::StrCat(absl::StrReplaceAll(error.what(), {{"\n", "; "}}), " (see ", app.get_name(),
                      command, " --help)");
}

CLI::Validator AtLeastZero() {
  return CLI::Validator(
      [](const std::string& text) -> std::string {
        double number = 0;
        if (absl::SimpleAtod(text, &number) && number >= 0) return "";
        return absl::StrCat("found ", text, ", expected 0 or more");
      },
      "");
}

absl::StatusOr<std::vector<int32_t>> ParseTokenIds(absl::string_view flag, absl::string_view text) {
  std::vector<int32_t> ids;
  if (absl::StripAsciiWhitespace(text).empty()) return ids;
  for (absl::string_view part : absl::StrSplit(text, ',')) {
    int32_t id = 0;
    if (!absl::SimpleAtoi(part, &id) || id < 0) {
      return absl::InvalidArgumentError(absl::StrCat(
          flag, ": '", part, "' is no token id; expected ids from 0 up, separated by commas"));
    }
    ids.push_back(id);
  }
  return ids;
}

}  // namespace parity::serve
