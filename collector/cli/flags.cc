#include "collector/cli/flags.h"

#include <CLI/CLI.hpp>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace parity::cli {
namespace {

bool ParsePosition(absl::string_view text, int32_t* position) {
  return absl::SimpleAtoi(text, position) && *position >= 0;
}

// A year: longer than any call takes, and far from where a clock's nanoseconds overflow.
constexpr double kMostSeconds = 366.0 * 24 * 3600;

std::string CheckSeconds(const std::string& text) {
  double seconds = 0;
  if (absl::SimpleAtod(text, &seconds) && seconds >= 0 && seconds <= kMostSeconds) return "";
  return absl::StrCat("'", text, "', expected 0 to ", static_cast<int64_t>(kMostSeconds),
                      " seconds");
}

}  // namespace

absl::StatusOr<PositionRange> ParsePositions(absl::string_view text) {
  PositionRange range;
  if (text.empty()) return range;
  const absl::Status bad = absl::InvalidArgumentError(
      absl::StrCat("--positions '", text, "': expected A, A-B, A- or -B with 0 <= A <= B"));
  const size_t dash = text.find('-');
  int32_t last = 0;
  if (dash == absl::string_view::npos) {
    if (!ParsePosition(text, &range.first)) return bad;
    range.last = range.first;
    return range;
  }
  const absl::string_view from = text.substr(0, dash), to = text.substr(dash + 1);
  if (from.empty() && to.empty()) return bad;
  if (!from.empty() && !ParsePosition(from, &range.first)) return bad;
  if (!to.empty()) {
    if (!ParsePosition(to, &last) || last < range.first) return bad;
    range.last = last;
  }
  return range;
}

void AddChannelFlags(CLI::App& command, serve::TlsFiles* tls, double* timeout_seconds) {
  command.add_option("--timeout", *timeout_seconds, "Seconds a call may take; 0: no limit")
      ->type_name("SECONDS")
      ->check(CLI::Validator(&CheckSeconds, ""));
  command.add_option("--tls-ca", tls->authority, "CA certificate (PEM): connect with TLS")
      ->type_name("FILE");
  auto* certificate =
      command.add_option("--tls-cert", tls->certificate, "Own certificate (PEM), mutual TLS")
          ->type_name("FILE");
  auto* key =
      command.add_option("--tls-key", tls->key, "Key of --tls-cert (PEM)")->type_name("FILE");
  certificate->needs(key);
  key->needs(certificate);
}

void AddConnectionFlags(CLI::App& command, ConnectionOptions* options) {
  auto* collector =
      command.add_option("--collector", options->collector, "Collector, HOST:PORT or unix:PATH")
          ->type_name("ADDR");
  command.add_option("--db", options->db, "Database file, used without a collector")
      ->type_name("FILE")
      ->excludes(collector);
  AddChannelFlags(command, &options->tls, &options->timeout_seconds);
}

void AddReserveFlag(CLI::App& command, ConnectionOptions* options) {
  command
      .add_option("--min-free-mib", options->min_free_mib,
                  absl::StrCat("Refuse writes to --db while its disk has less free (default ",
                               options->min_free_mib, ")"))
      ->type_name("MIB")
      ->needs(command.get_option("--db"))
      ->check(CLI::Range(0, 1 << 30).description(""));
}

void AddFormatFlag(CLI::App& command, const std::vector<std::string>& choices,
                   std::string* format) {
  *format = choices.front();
  command.add_option("--format", *format, "Format of the output (default " + *format + ")")
      ->type_name(absl::StrCat("{", absl::StrJoin(choices, ","), "}"))
      ->check(CLI::IsMember(choices).description(""));
}

void AddSelectionFlags(CLI::App& command, std::vector<std::string>* checkpoints,
                       std::string* positions) {
  command
      .add_option("--checkpoint", *checkpoints,
                  "Only checkpoints that match GLOB (* ? [..]; * crosses dots); repeatable")
      ->type_name("GLOB")
      ->delimiter(',')
      ->allow_extra_args(false);
  command.add_option("--positions", *positions, "Only these token positions: A, A-B, A- or -B")
      ->type_name("A-B");
}

}  // namespace parity::cli
