#include "worker/capture/jsonl_log.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "proto/status/status_macros.h"
#include "proto/tensor/values.h"

namespace parity::capture {
namespace {

// A prefill piece is formatted at once: this bounds the frames that wait for it.
constexpr int64_t kSinkBytes = 64 << 20;

void AppendEscaped(absl::string_view text, std::string& out) {
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out.push_back('\\');
      out.push_back(c);
    } else if (static_cast<unsigned char>(c) < 0x20) {
      absl::StrAppendFormat(&out, "\\u%04x", static_cast<int>(c));
    } else {
      out.push_back(c);
    }
  }
}

void AppendFloat(float value, std::string& out) {
  if (std::isnan(value)) {
    out += "NaN";
  } else if (std::isinf(value)) {
    out += value < 0 ? "-Infinity" : "Infinity";
  } else if (value == 0 && std::signbit(value)) {
    out += "-0.0";  // readers take "-0" for an integer, which has no sign
  } else {
    char text[32];  // the shortest form of a float has at most 15 characters
    out.append(text, std::to_chars(text, text + sizeof(text), value).ptr);
  }
}

}  // namespace

absl::StatusOr<LogOptions> LogOptionsFromEnvironment() {
  LogOptions options;
  if (const char* path = std::getenv("ORCH_LOG_FILE")) options.path = path;
  if (const char* team = std::getenv("ORCH_LOG_TEAM")) options.team = team;
  const char* values = std::getenv("ORCH_LOG_VALUES");
  if (values != nullptr && *values != '\0' &&
      (!absl::SimpleAtoi(values, &options.values) || options.values < 0)) {
    return absl::InvalidArgumentError(absl::StrCat("ORCH_LOG_VALUES: found '", values,
                                                   "', expected a count, 0 or empty for all"));
  }
  return options;
}

absl::StatusOr<std::unique_ptr<JsonlLog>> JsonlLog::Open(LogOptions options) {
  std::FILE* file = std::fopen(options.path.c_str(), "ae");
  if (file == nullptr) {
    const int error = errno;
    const std::string what =
        absl::StrCat("cannot open the log file ", options.path, ": ", std::strerror(error));
    return error == ENOENT ? absl::NotFoundError(what) : absl::PermissionDeniedError(what);
  }
  // 1 MiB: a line of logits has about 1.5 MB; smaller buffers would only add system calls.
  std::setvbuf(file, nullptr, _IOFBF, 1 << 20);
  return std::unique_ptr<JsonlLog>(new JsonlLog(std::move(options), file));
}

JsonlLog::~JsonlLog() { std::fclose(file_); }

absl::Status JsonlLog::Fail(absl::string_view what) {
  status_ = absl::DataLossError(
      absl::StrCat("cannot ", what, " the log file ", options_.path, ": ", std::strerror(errno)));
  return status_;
}

absl::Status JsonlLog::Append(absl::string_view lines) {
  absl::MutexLock lock(&mutex_);
  RETURN_IF_ERROR(status_);
  if (std::fwrite(lines.data(), 1, lines.size(), file_) != lines.size()) return Fail("write");
  return absl::OkStatus();
}

absl::Status JsonlLog::Flush() {
  absl::MutexLock lock(&mutex_);
  RETURN_IF_ERROR(status_);
  if (std::fflush(file_) != 0) return Fail("write");
  return absl::OkStatus();
}

void AppendJsonLine(const v1::Tensor& tensor, int32_t position, absl::string_view team,
                    absl::Time time, int64_t max_values, std::string& out) {
  out += "{\"ts\":\"";
  out += absl::FormatTime("%Y-%m-%dT%H:%M:%E6SZ", time, absl::UTCTimeZone());
  out += "\",\"team\":\"";
  AppendEscaped(team, out);
  out += "\",\"checkpoint\":\"";
  AppendEscaped(tensor.checkpoint(), out);
  // The older logs carry a leading token axis: "[1,151936]".
  absl::StrAppend(&out, "\",\"token_idx\":", position, ",\"dtype\":\"",
                  tensor::DTypeName(tensor.dtype()), "\",\"shape\":\"[1");
  for (const int64_t size : tensor.shape()) absl::StrAppend(&out, ",", size);
  out += "]\",\"values\":[";
  const std::vector<float> values = tensor::Decode(tensor.dtype(), tensor.data());
  const size_t count = max_values > 0 ? std::min<size_t>(values.size(), max_values) : values.size();
  for (size_t i = 0; i < count; ++i) {
    if (i > 0) out.push_back(',');
    AppendFloat(values[i], out);
  }
  out += "],\"source\":\"parity-worker\"}\n";
}

JsonlSink::JsonlSink(JsonlLog& log, absl::string_view team)
    : log_(log), team_(log.options().team.empty() ? std::string(team) : log.options().team) {}

void JsonlSink::Write() {
  std::string lines;
  int64_t tensors = 0;
  absl::Status status;
  for (const WireFramePtr& wire : frames_) {
    tensors += wire->tensors();
    if (!status.ok()) continue;
    const v1::Frame frame = wire->Parse();
    lines.clear();
    for (const v1::Tensor& tensor : frame.tensors()) {
      AppendJsonLine(tensor, frame.position(), team_, absl::Now(), log_.options().values, lines);
    }
    status = log_.Append(lines);
  }
  // Flushed before they are counted: a full disk may show only now.
  if (status.ok()) status = log_.Flush();
  v1::CaptureCounts& counts = result_.counts;
  counts.set_captured(counts.captured() + tensors);
  if (status.ok()) {
    counts.set_acked(counts.acked() + tensors);
  } else {
    counts.set_dropped(counts.dropped() + tensors);
    result_.message = std::string(status.message());
  }
  frames_.clear();
}

absl::Status JsonlSink::WaitForRoom(int64_t, const std::atomic<bool>&) {
  Write();
  return absl::OkStatus();
}

int64_t JsonlSink::capacity_bytes() const { return kSinkBytes; }

CaptureResult JsonlSink::Finish(absl::string_view incomplete_reason) {
  Write();
  if (result_.message.empty()) result_.message = std::string(incomplete_reason);
  result_.status =
      result_.message.empty() ? v1::CAPTURE_STATUS_COMPLETE : v1::CAPTURE_STATUS_INCOMPLETE;
  return std::move(result_);
}

}  // namespace parity::capture
