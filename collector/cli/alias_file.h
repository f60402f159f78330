// Alias files: other engines' checkpoint names, one pattern a line.
#ifndef PARITY_COLLECTOR_CLI_ALIAS_FILE_H_
#define PARITY_COLLECTOR_CLI_ALIAS_FILE_H_

#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace parity::cli {

using Aliases = std::map<std::string, std::string>;

// Lines "PATTERN NAME" ("blk.{i}.attn_q layer.{i}.attn.q"), blank lines and lines from "#" on
// skipped. INVALID_ARGUMENT naming SOURCE:LINE for anything else, and for a pattern that comes
// twice.
absl::StatusOr<Aliases> ParseAliases(absl::string_view text, absl::string_view source);

// NOT_FOUND naming the file, or what ParseAliases() says.
absl::StatusOr<Aliases> ReadAliasFile(const std::string& path);

}  // namespace parity::cli

#endif  // PARITY_COLLECTOR_CLI_ALIAS_FILE_H_
