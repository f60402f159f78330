// What the command lines of all programs share: how a refused one is told, and lists of token ids.
#ifndef PARITY_PROTO_SERVE_COMMAND_LINE_H_
#define PARITY_PROTO_SERVE_COMMAND_LINE_H_

#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace parity::serve {

// Why `app` refused the arguments, without the program's name in front and without a newline:
// "there is no command 'x' (see parity --help)", "--db is required (see parity-collector serve
// --help)". REQUIRES: `error` is no CLI::Success.
std::string UsageError(const CLI::App& app, const CLI::ParseError& error, int argc,
                       const char* const* argv);

// For an option that is a number: refuses one below 0 as "found -1, expected 0 or more" (CLI11's
// own words give the largest double in full).
CLI::Validator AtLeastZero();

// "1,2,3", spaces allowed; "" is none. INVALID_ARGUMENT names `flag` and the first bad id.
absl::StatusOr<std::vector<int32_t>> ParseTokenIds(absl::string_view flag, absl::string_view text);

}  // namespace parity::serve

#endif  // PARITY_PROTO_SERVE_COMMAND_LINE_H_
