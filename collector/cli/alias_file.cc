#include "collector/cli/alias_file.h"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <system_error>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace parity::cli {

absl::StatusOr<Aliases> ParseAliases(absl::string_view text, absl::string_view source) {
  Aliases aliases;
  int line_number = 0;
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    ++line_number;
    line = line.substr(0, line.find('#'));
    const std::vector<std::string> words =
        absl::StrSplit(line, absl::ByAnyChar(" \t\r"), absl::SkipEmpty());
    if (words.empty()) continue;
    if (words.size() != 2) {
      return absl::InvalidArgumentError(absl::StrCat(
          source, ":", line_number, ": found ", words.size(), " words, expected PATTERN NAME"));
    }
    if (!aliases.emplace(words[0], words[1]).second) {
      return absl::InvalidArgumentError(
          absl::StrCat(source, ":", line_number, ": pattern '", words[0], "' came before"));
    }
  }
  return aliases;
}

absl::StatusOr<Aliases> ReadAliasFile(const std::string& path) {
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) {  // which opens like a file, and reads as empty
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": is a directory, expected an alias file"));
  }
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  if (file) text << file.rdbuf();
  if (!file) return absl::NotFoundError(absl::StrCat(path, ": ", std::strerror(errno)));
  return ParseAliases(text.str(), path);
}

}  // namespace parity::cli
