// Writes GGUF v3 files for tests, and quantises rows for them by plain round-to-nearest.
#ifndef PARITY_TESTS_TESTING_GGUF_WRITER_H_
#define PARITY_TESTS_TESTING_GGUF_WRITER_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "kernels/dtype.h"

namespace parity::testing {

// Bytes of `values` in a weight type. Types: F32, F16, BF16, Q4_0, Q4_1, Q8_0 (CHECKed).
// REQUIRES: values.size() is a multiple of the type's block (32 for the quantised ones).
std::string EncodeValues(kernels::DType dtype, absl::Span<const float> values);

// IEEE half, round to nearest even.
uint16_t HalfFromFloat(float value);
float FloatFromHalf(uint16_t half);

// Collects keys and tensors in order; Serialize() lays them out as a file. Nothing is checked, so
// hostile files can be written too: a key may stand twice, sizes need not fit the data.
class GgufWriter {
 public:
  void AddU32(absl::string_view key, uint32_t value);
  void AddI32(absl::string_view key, int32_t value);
  void AddU64(absl::string_view key, uint64_t value);
  void AddF32(absl::string_view key, float value);
  void AddBool(absl::string_view key, bool value);
  void AddString(absl::string_view key, absl::string_view value);
  void AddStrings(absl::string_view key, const std::vector<std::string>& values);
  void AddI32s(absl::string_view key, const std::vector<int32_t>& values);
  void AddF32s(absl::string_view key, const std::vector<float>& values);
  // A value of any type id with its bytes as they shall stand in the file.
  void AddRaw(absl::string_view key, uint32_t type, absl::string_view bytes);

  // ne[0] is the fastest-varying size.
  void AddTensor(absl::string_view name, const std::vector<int64_t>& ne, uint32_t ggml_type,
                 std::string bytes);

  // Of the data section; default 32. The caller adds general.alignment itself.
  void set_alignment(int64_t alignment) { alignment_ = alignment; }

  std::string Serialize() const;
  // The same bytes, without a copy of them: a file may be larger than half the memory.
  absl::Status Write(const std::string& path) const;

 private:
  struct Tensor {
    std::string name;
    std::vector<int64_t> ne;
    uint32_t ggml_type;
    std::string bytes;
  };
  // Everything before the data.
  std::string Head() const;
  // Zeros after `size` bytes.
  std::string Padding(size_t size) const;

  int64_t alignment_ = 32;
  uint64_t key_count_ = 0;
  std::string keys_;
  std::vector<Tensor> tensors_;
};

// Appends little-endian values and length-prefixed strings: for files that GgufWriter would lay out
// too well.
void AppendU32(std::string& out, uint32_t value);
void AppendU64(std::string& out, uint64_t value);
void AppendString(std::string& out, absl::string_view value);

// Writes bytes to a file of its own.
absl::Status WriteFile(const std::string& path, absl::string_view bytes);

}  // namespace parity::testing

#endif  // PARITY_TESTS_TESTING_GGUF_WRITER_H_
