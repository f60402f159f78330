#include "collector/export/text_sink.h"

#include <charconv>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace parity::exporter {
namespace {

// Collected before it is handed on: enough to be cheap.
constexpr size_t kChunkBytes = 256 << 10;
// Handed on at once: a tensor's line may have 60 MB, a message 20 MiB.
constexpr size_t kMaxPieceBytes = 1 << 20;

}  // namespace

void TextSink::Int(int64_t value) { absl::StrAppend(&buffer_, value); }

void TextSink::Number(double value) {
  if (std::isnan(value)) return Text("NaN");
  absl::StrAppendFormat(&buffer_, "%.9g", value);
}

void TextSink::JsonNumber(double value) {
  if (!std::isfinite(value)) return Text("null");
  Number(value);
}

void TextSink::Float(float value) {
  if (std::isnan(value)) return Text("NaN");
  if (std::isinf(value)) return Text(value > 0 ? "Infinity" : "-Infinity");
  if (value == 0 && std::signbit(value)) return Text("-0.0");  // to many readers -0 is an integer
  char text[32];
  const std::to_chars_result result = std::to_chars(text, text + sizeof(text), value);
  buffer_.append(text, result.ptr);
}

void TextSink::JsonString(absl::string_view text) {
  buffer_.push_back('"');
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      buffer_.push_back('\\');
      buffer_.push_back(c);
    } else if (static_cast<unsigned char>(c) < 0x20) {
      absl::StrAppendFormat(&buffer_, "\\u%04x", static_cast<int>(c));
    } else {
      buffer_.push_back(c);
    }
  }
  buffer_.push_back('"');
}

void TextSink::CsvField(absl::string_view text) {
  if (text.find_first_of(",\"\r\n") == absl::string_view::npos) return Text(text);
  buffer_.push_back('"');
  for (const char c : text) {
    if (c == '"') buffer_.push_back('"');
    buffer_.push_back(c);
  }
  buffer_.push_back('"');
}

absl::Status TextSink::EndLine() {
  buffer_.push_back('\n');
  return buffer_.size() < kChunkBytes ? absl::OkStatus() : Finish();
}

absl::Status TextSink::Finish() {
  absl::Status status;
  for (size_t at = 0; status.ok() && at < buffer_.size(); at += kMaxPieceBytes) {
    status = callback_(absl::string_view(buffer_).substr(at, kMaxPieceBytes));
  }
  buffer_.clear();
  return status;
}

}  // namespace parity::exporter
