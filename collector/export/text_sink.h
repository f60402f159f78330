// Collects text and hands it on in chunks.
#ifndef PARITY_COLLECTOR_EXPORT_TEXT_SINK_H_
#define PARITY_COLLECTOR_EXPORT_TEXT_SINK_H_

#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace parity::exporter {

// Chunks have at most 1 MiB, however long a line is. Numbers are written with a fixed format
// whatever the locale, so that equal contents give equal bytes.
class TextSink {
 public:
  using Callback = std::function<absl::Status(absl::string_view)>;

  explicit TextSink(const Callback& callback) : callback_(callback) {}

  void Text(absl::string_view text) { buffer_.append(text.data(), text.size()); }
  void Int(int64_t value);
  // %.9g; NaN, inf and -inf as they are.
  void Number(double value);
  // As JSON: %.9g, null when not finite.
  void JsonNumber(double value);
  // The shortest decimal that reads back as the same float; NaN, Infinity and -Infinity as bare
  // words.
  void Float(float value);
  // In quotes, escaped. Bytes that are no UTF-8 are kept as they are.
  void JsonString(absl::string_view text);
  // In quotes only where CSV needs them.
  void CsvField(absl::string_view text);

  // Hands on what has been collected if it is much. To be called once a line.
  absl::Status EndLine();
  // Hands on the rest.
  absl::Status Finish();

 private:
  const Callback& callback_;
  std::string buffer_;
};

}  // namespace parity::exporter

#endif  // PARITY_COLLECTOR_EXPORT_TEXT_SINK_H_
