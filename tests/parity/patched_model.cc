#include "tests/parity/patched_model.h"

#include <cstring>
#include <fstream>
#include <iterator>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "kernels/dtype.h"
#include "proto/status/status_macros.h"
#include "tests/testing/gguf_writer.h"

namespace parity::testing {
namespace {

constexpr int64_t kAlignment = 32;
constexpr int64_t kTensorCountOffset = 8;  // after magic and version

// A file and the bytes it reads.
struct Owned {
  std::string bytes;
  std::unique_ptr<model::GgufFile> file;
};

absl::Span<const uint8_t> Bytes(const std::string& text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

absl::StatusOr<std::string> ReadAll(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return absl::NotFoundError(path);
  return std::string(std::istreambuf_iterator<char>(in), {});
}

absl::StatusOr<std::shared_ptr<const model::GgufFile>> Open(std::string bytes) {
  auto owned = std::make_shared<Owned>();
  owned->bytes = std::move(bytes);
  ASSIGN_OR_RETURN(owned->file, model::GgufFile::FromBytes("patched.gguf", Bytes(owned->bytes)));
  return std::shared_ptr<const model::GgufFile>(owned, owned->file.get());
}

void Align(std::string& out) { out.append((kAlignment - out.size() % kAlignment) % kAlignment, 0); }

// A tensor's record as it stands in the file.
std::string Record(const model::TensorInfo& tensor) {
  std::string out;
  AppendString(out, tensor.name);
  AppendU32(out, static_cast<uint32_t>(tensor.n_dims));
  for (int d = 0; d < tensor.n_dims; ++d) AppendU64(out, static_cast<uint64_t>(tensor.ne[d]));
  AppendU32(out, tensor.ggml_type);
  AppendU64(out, static_cast<uint64_t>(tensor.offset));
  return out;
}

}  // namespace

absl::StatusOr<std::shared_ptr<const model::GgufFile>> WithScaledBlock(const std::string& path,
                                                                       absl::string_view tensor,
                                                                       int64_t row, int64_t block,
                                                                       float factor) {
  ASSIGN_OR_RETURN(std::string bytes, ReadAll(path));
  size_t at;
  {
    ASSIGN_OR_RETURN(const auto file, model::GgufFile::FromBytes("original", Bytes(bytes)));
    const model::TensorInfo* info = file->FindTensor(tensor);
    const auto q4_1 = kernels::Traits(kernels::DType::kQ4_1);
    if (info == nullptr || info->ggml_type != static_cast<uint32_t>(q4_1.dtype) ||
        row >= info->ne[1] || block >= info->ne[0] / q4_1.block_elements) {
      return absl::InvalidArgumentError(absl::StrCat("no such Q4_1 block in ", tensor));
    }
    at = (info->bytes.data() - Bytes(bytes).data()) +
         row * kernels::RowBytes(q4_1.dtype, info->ne[0]) + block * q4_1.block_bytes;
  }
  uint16_t scale;
  std::memcpy(&scale, bytes.data() + at, sizeof(scale));
  scale = HalfFromFloat(FloatFromHalf(scale) * factor);
  std::memcpy(bytes.data() + at, &scale, sizeof(scale));
  return Open(std::move(bytes));
}

absl::StatusOr<std::shared_ptr<const model::GgufFile>> WithVector(const std::string& path,
                                                                  absl::string_view name,
                                                                  absl::Span<const float> values) {
  ASSIGN_OR_RETURN(const std::string bytes, ReadAll(path));
  ASSIGN_OR_RETURN(const auto file, model::GgufFile::FromBytes("original", Bytes(bytes)));
  const auto& tensors = file->tensors();
  std::string records;
  for (const model::TensorInfo& tensor : tensors) records += Record(tensor);
  const size_t records_at = bytes.find(records);
  if (tensors.empty() || records_at == std::string::npos) {
    return absl::InvalidArgumentError("the tensor records were not found as they must stand");
  }
  const size_t data_at = (tensors[0].bytes.data() - Bytes(bytes).data()) - tensors[0].offset;
  std::string data = bytes.substr(data_at);
  Align(data);

  std::string out = bytes.substr(0, records_at + records.size());
  const uint64_t count = tensors.size() + 1;
  std::memcpy(out.data() + kTensorCountOffset, &count, sizeof(count));
  model::TensorInfo added = {.name = std::string(name),
                             .ggml_type = static_cast<uint32_t>(kernels::DType::kF32),
                             .n_dims = 1,
                             .ne = {static_cast<int64_t>(values.size()), 1, 1, 1},
                             .offset = static_cast<int64_t>(data.size())};
  out += Record(added);
  Align(out);
  out += data;
  out += EncodeValues(kernels::DType::kF32, values);
  Align(out);
  return Open(std::move(out));
}

}  // namespace parity::testing
