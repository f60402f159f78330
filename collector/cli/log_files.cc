#include "collector/cli/log_files.h"

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "proto/status/status_macros.h"

namespace parity::cli {
namespace {

constexpr size_t kPieceBytes = 256 << 10;  // within the 64-600 KiB at which gRPC is fastest
constexpr absl::string_view kByteOrderMark = "\xEF\xBB\xBF";
constexpr absl::string_view kStandIn = "logs";

// Lines of a log are long: skipping from one end to the next beats looking at every byte.
int64_t CountLines(absl::string_view bytes) {
  int64_t lines = 0;
  while (const void* found = std::memchr(bytes.data(), '\n', bytes.size())) {
    ++lines;
    bytes.remove_prefix(static_cast<const char*>(found) - bytes.data() + 1);
  }
  return lines;
}

std::string DisplayName(const std::string& path) { return path == "-" ? "standard input" : path; }

}  // namespace

std::string LogFiles::SourceName() const {
  return paths_.size() == 1 ? DisplayName(paths_.front()) : std::string(kStandIn);
}

absl::Status LogFiles::CheckReadable() const {
  for (const std::string& path : paths_) {
    if (path == "-") continue;
    std::error_code error;
    if (std::filesystem::is_directory(path, error)) {
      return absl::InvalidArgumentError(absl::StrCat(path, ": is a directory, expected a log"));
    }
    if (!std::ifstream(path, std::ios::binary)) {
      return absl::NotFoundError(absl::StrCat(path, ": ", std::strerror(errno)));
    }
  }
  return absl::OkStatus();
}

absl::Status LogFiles::Read(const std::function<bool(absl::string_view)>& piece) {
  bool stopped = false;
  for (const std::string& path : paths_) {
    if (!at_line_start_) {
      if (!piece("\n")) return absl::OkStatus();
      ++lines_;
      at_line_start_ = true;
    }
    first_lines_.push_back(lines_ + 1);
    if (path == "-") {
      RETURN_IF_ERROR(ReadOne(path, standard_input_, piece, &stopped));
    } else {
      std::ifstream file(path, std::ios::binary);
      if (!file) return absl::NotFoundError(absl::StrCat(path, ": ", std::strerror(errno)));
      RETURN_IF_ERROR(ReadOne(path, file, piece, &stopped));
    }
    if (stopped) break;
  }
  return absl::OkStatus();
}

absl::Status LogFiles::ReadOne(const std::string& path, std::istream& in,
                               const std::function<bool(absl::string_view)>& piece, bool* stopped) {
  const auto buffer = std::make_unique<char[]>(kPieceBytes);
  bool first = true;
  while (in) {
    in.read(buffer.get(), kPieceBytes);
    absl::string_view bytes(buffer.get(), static_cast<size_t>(in.gcount()));
    if (first && first_lines_.size() > 1 && bytes.substr(0, 3) == kByteOrderMark) {
      bytes.remove_prefix(kByteOrderMark.size());
    }
    first = false;
    if (bytes.empty()) continue;
    lines_ += CountLines(bytes);
    at_line_start_ = bytes.back() == '\n';
    if (!piece(bytes)) {
      *stopped = true;
      return absl::OkStatus();
    }
  }
  if (in.bad()) {
    return absl::DataLossError(absl::StrCat(DisplayName(path), ": cannot be read to its end"));
  }
  return absl::OkStatus();
}

std::string LogFiles::Locate(absl::string_view text) const {
  if (paths_.size() == 1) return std::string(text);
  const std::string mark = absl::StrCat(kStandIn, ":");
  const size_t at = text.find(mark);
  if (at == absl::string_view::npos) return std::string(text);
  size_t end = at + mark.size();
  while (end < text.size() && std::isdigit(static_cast<unsigned char>(text[end]))) ++end;
  int64_t line = 0;
  if (!absl::SimpleAtoi(text.substr(at + mark.size(), end - at - mark.size()), &line)) {
    return std::string(text);
  }
  const auto after = std::upper_bound(first_lines_.begin(), first_lines_.end(), line);
  if (after == first_lines_.begin()) return std::string(text);
  const size_t file = static_cast<size_t>(after - first_lines_.begin()) - 1;
  return absl::StrCat(text.substr(0, at), DisplayName(paths_[file]), ":",
                      line - first_lines_[file] + 1, text.substr(end));
}

}  // namespace parity::cli
