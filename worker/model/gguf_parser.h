// Reads the metadata part of a GGUF file: every count, length, type and offset is checked before it
// is used.
#ifndef PARITY_WORKER_MODEL_GGUF_PARSER_H_
#define PARITY_WORKER_MODEL_GGUF_PARSER_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "worker/model/gguf_file.h"

namespace parity::model {

// One metadata value: where its payload lies. Scalars: type and the bytes. Arrays: element type and
// count; strings of an array are length-prefixed, back to back, and have been walked once.
struct GgufValue {
  ValueType type;
  ValueType element_type;  // of an array, else == type
  uint64_t count;          // of an array, else 1
  absl::Span<const uint8_t> payload;
};

struct GgufContents {
  std::vector<std::pair<std::string, GgufValue>> values;  // file order
  absl::flat_hash_map<std::string, size_t> value_index;
  std::vector<TensorInfo> tensors;  // file order
  absl::flat_hash_map<std::string, size_t> tensor_index;
};

// INVALID_ARGUMENT naming the field, what was found and what was expected (without the file's
// name).
absl::StatusOr<GgufContents> ParseGguf(absl::Span<const uint8_t> bytes);

// Text from a file as it may stand in a message: escaped, at most 80 characters, in single quotes.
std::string QuoteUntrusted(absl::string_view text);

// Bytes of one scalar; 0 for strings, arrays and unknown types.
size_t ScalarBytes(ValueType type);

}  // namespace parity::model

#endif  // PARITY_WORKER_MODEL_GGUF_PARSER_H_
