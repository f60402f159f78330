#include "proto/text/capture_name.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "proto/text/utf8.h"

namespace parity::text {
namespace {

// A page or ten. It opens every stream of the capture, and every answer about the run holds it: a
// message has 20 MiB for a hundred runs.
constexpr size_t kMaxNoteBytes = 64 << 10;

absl::Status CheckName(absl::string_view field, absl::string_view name, absl::string_view marks) {
  const bool allowed = std::all_of(name.begin(), name.end(), [&](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) ||
           marks.find(c) != absl::string_view::npos;
  });
  if (!name.empty() && name.size() <= kMaxNameBytes && allowed) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(field, ": found ", name.size(),
                                                 " bytes, expected 1 to ", kMaxNameBytes,
                                                 " of [A-Za-z0-9", marks, "]"));
}

}  // namespace

absl::Status CheckRunName(absl::string_view run) { return CheckName("run", run, "._-"); }
absl::Status CheckTeamName(absl::string_view team) { return CheckName("team", team, "._+ -"); }

absl::Status CheckNote(absl::string_view note) {
  if (note.size() <= kMaxNoteBytes && IsUtf8(note)) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "note: found ", note.size(), " bytes, expected at most ", kMaxNoteBytes, " of UTF-8"));
}

}  // namespace parity::text
