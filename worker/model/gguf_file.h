// A GGUF file, mapped read-only and proven safe to read: every count, size, offset and type is
// checked at open.
#ifndef PARITY_WORKER_MODEL_GGUF_FILE_H_
#define PARITY_WORKER_MODEL_GGUF_FILE_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace parity::model {

// GGUF value types, as they stand in the file.
enum class ValueType : uint32_t {
  kU8 = 0,
  kI8 = 1,
  kU16 = 2,
  kI16 = 3,
  kU32 = 4,
  kI32 = 5,
  kF32 = 6,
  kBool = 7,
  kString = 8,
  kArray = 9,
  kU64 = 10,
  kI64 = 11,
  kF64 = 12,
};
absl::string_view ValueTypeName(ValueType type);

// One tensor of the file. ne[0] is the fastest-varying size; missing sizes are 1.
struct TensorInfo {
  std::string name;
  uint32_t ggml_type;  // may be a type this build cannot compute with
  int32_t n_dims;
  int64_t ne[4];
  int64_t offset;                   // from the start of the data section
  absl::Span<const uint8_t> bytes;  // empty when the type's block layout is unknown
};

// Threading: immutable after Open, thread-safe. Spans and views live as long as the object.
class GgufFile {
 public:
  // Errors name the file, the field or tensor, what was found and what was expected: NOT_FOUND /
  // PERMISSION_DENIED for the file itself, INVALID_ARGUMENT for its content.
  static absl::StatusOr<std::unique_ptr<GgufFile>> Open(const std::string& path);
  // The same over bytes in memory (tests, fuzzing); `bytes` must outlive the object.
  static absl::StatusOr<std::unique_ptr<GgufFile>> FromBytes(std::string name,
                                                             absl::Span<const uint8_t> bytes);
  ~GgufFile();

  const std::string& name() const;  // file name without its directory
  int64_t size_bytes() const;
  // SHA-256 of the whole file, lower-case hex. Computed at the first call (seconds for a large
  // file), then kept.
  const std::string& sha256() const;

  // Typed getters: absent key -> nullopt / the default; wrong type or out-of-range ->
  // INVALID_ARGUMENT naming both. Integers of any width and sign are accepted where their value
  // fits.
  bool Has(absl::string_view key) const;
  absl::StatusOr<std::optional<int64_t>> GetInt(absl::string_view key) const;
  absl::StatusOr<std::optional<double>> GetFloat(absl::string_view key) const;
  absl::StatusOr<std::optional<bool>> GetBool(absl::string_view key) const;
  absl::StatusOr<std::optional<std::string>> GetString(absl::string_view key) const;
  absl::StatusOr<std::optional<std::vector<std::string>>> GetStringArray(
      absl::string_view key) const;
  // Booleans count as 0 and 1.
  absl::StatusOr<std::optional<std::vector<int64_t>>> GetIntArray(absl::string_view key) const;
  absl::StatusOr<std::optional<std::vector<float>>> GetFloatArray(absl::string_view key) const;
  // Elements of an array of any type, without reading them.
  absl::StatusOr<std::optional<int64_t>> GetArraySize(absl::string_view key) const;
  // Keys in file order, with a short printable value ("[49152 strings]" for arrays): for `inspect`.
  std::vector<std::pair<std::string, std::string>> Describe() const;

  const std::vector<TensorInfo>& tensors() const;
  const TensorInfo* FindTensor(absl::string_view name) const;  // null when absent

 private:
  class Impl;
  explicit GgufFile(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace parity::model

#endif  // PARITY_WORKER_MODEL_GGUF_FILE_H_
