#include "worker/model/gguf_file.h"

#include <errno.h>
#include <fcntl.h>
#include <glog/logging.h>
#include <openssl/evp.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <mutex>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "proto/status/annotate.h"
#include "proto/status/status_macros.h"
#include "worker/model/gguf_parser.h"

namespace parity::model {

namespace {

template <typename T>
T Load(const uint8_t* bytes) {
  T value;
  std::memcpy(&value, bytes, sizeof(value));
  return value;
}

// nullopt when the type is no integer, or a u64 above 2^63-1.
std::optional<int64_t> LoadInt(ValueType type, const uint8_t* p) {
  switch (type) {
    case ValueType::kU8:
      return Load<uint8_t>(p);
    case ValueType::kI8:
      return Load<int8_t>(p);
    case ValueType::kU16:
      return Load<uint16_t>(p);
    case ValueType::kI16:
      return Load<int16_t>(p);
    case ValueType::kU32:
      return Load<uint32_t>(p);
    case ValueType::kI32:
      return Load<int32_t>(p);
    case ValueType::kI64:
      return Load<int64_t>(p);
    case ValueType::kU64: {
      const uint64_t value = Load<uint64_t>(p);
      if (value > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) return std::nullopt;
      return static_cast<int64_t>(value);
    }
    default:
      return std::nullopt;
  }
}

std::optional<double> LoadFloat(ValueType type, const uint8_t* p) {
  if (type == ValueType::kF32) return Load<float>(p);
  if (type == ValueType::kF64) return Load<double>(p);
  return std::nullopt;
}

std::string Sha256(absl::Span<const uint8_t> bytes) {
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(),
                                                                  &EVP_MD_CTX_free);
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  CHECK(context != nullptr && EVP_DigestInit_ex(context.get(), EVP_sha256(), nullptr) == 1 &&
        EVP_DigestUpdate(context.get(), bytes.data(), bytes.size()) == 1 &&
        EVP_DigestFinal_ex(context.get(), digest, &size) == 1);
  return absl::BytesToHexString(absl::string_view(reinterpret_cast<const char*>(digest), size));
}

std::string TypeText(const GgufValue& value) {
  if (value.type != ValueType::kArray) return std::string(ValueTypeName(value.type));
  return absl::StrCat("an array of ", ValueTypeName(value.element_type));
}

std::string Printable(const GgufValue& value) {
  if (value.type == ValueType::kArray) {
    return absl::StrCat("[", value.count, " ", ValueTypeName(value.element_type), "]");
  }
  const uint8_t* p = value.payload.data();
  if (value.type == ValueType::kString) {
    return QuoteUntrusted(
        absl::string_view(reinterpret_cast<const char*>(p), value.payload.size()));
  }
  if (value.type == ValueType::kBool) return *p != 0 ? "true" : "false";
  if (const auto integer = LoadInt(value.type, p)) return absl::StrCat(*integer);
  if (const auto real = LoadFloat(value.type, p)) return absl::StrFormat("%.9g", *real);
  return absl::StrCat(Load<uint64_t>(p));
}

absl::Status FileError(const std::string& path, int error) {
  const std::string text = absl::StrCat(path, ": ", std::strerror(error));
  if (error == ENOENT || error == ENOTDIR) return absl::NotFoundError(text);
  if (error == EACCES || error == EPERM) return absl::PermissionDeniedError(text);
  return absl::UnavailableError(text);
}

// A read-only mapping of a whole file.
class Mapping {
 public:
  Mapping() = default;
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;
  ~Mapping() {
    if (address_ != nullptr) munmap(address_, size_);
  }

  absl::Status Map(const std::string& path) {
    const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return FileError(path, errno);
    const absl::Status status = MapDescriptor(path, fd);
    close(fd);
    return status;
  }

  absl::Span<const uint8_t> bytes() const {
    return absl::MakeConstSpan(static_cast<const uint8_t*>(address_), size_);
  }

 private:
  absl::Status MapDescriptor(const std::string& path, int fd) {
    struct stat info;
    if (fstat(fd, &info) != 0) return FileError(path, errno);
    if (!S_ISREG(info.st_mode)) {
      return absl::InvalidArgumentError(absl::StrCat(path, ": not a regular file"));
    }
    if (info.st_size == 0) {
      return absl::InvalidArgumentError(absl::StrCat(path, ": not a GGUF file: it is empty"));
    }
    void* address = mmap(nullptr, info.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (address == MAP_FAILED) return FileError(path, errno);
    address_ = address;
    size_ = info.st_size;
    return absl::OkStatus();
  }

  void* address_ = nullptr;
  size_t size_ = 0;
};

}  // namespace

class GgufFile::Impl {
 public:
  absl::Status Parse() {
    absl::StatusOr<GgufContents> contents = ParseGguf(bytes);
    if (!contents.ok()) return Annotate(contents.status(), name);
    this->contents = *std::move(contents);
    return absl::OkStatus();
  }

  const GgufValue* Find(absl::string_view key) const {
    const auto found = contents.value_index.find(key);
    return found == contents.value_index.end() ? nullptr : &contents.values[found->second].second;
  }

  absl::Status WrongType(absl::string_view key, const GgufValue& value,
                         absl::string_view expected) const {
    return absl::InvalidArgumentError(absl::StrCat(name, ": key ", QuoteUntrusted(key), " is ",
                                                   TypeText(value), ", ", expected, " expected"));
  }

  std::string name;
  Mapping mapping;
  absl::Span<const uint8_t> bytes;
  GgufContents contents;
  std::once_flag sha256_once;
  std::string sha256;
};

GgufFile::GgufFile(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
GgufFile::~GgufFile() = default;

absl::StatusOr<std::unique_ptr<GgufFile>> GgufFile::Open(const std::string& path) {
  auto impl = std::make_unique<Impl>();
  impl->name = path.substr(path.rfind('/') + 1);
  RETURN_IF_ERROR(impl->mapping.Map(path));
  impl->bytes = impl->mapping.bytes();
  RETURN_IF_ERROR(impl->Parse());
  return std::unique_ptr<GgufFile>(new GgufFile(std::move(impl)));
}

absl::StatusOr<std::unique_ptr<GgufFile>> GgufFile::FromBytes(std::string name,
                                                              absl::Span<const uint8_t> bytes) {
  auto impl = std::make_unique<Impl>();
  impl->name = std::move(name);
  impl->bytes = bytes;
  RETURN_IF_ERROR(impl->Parse());
  return std::unique_ptr<GgufFile>(new GgufFile(std::move(impl)));
}

const std::string& GgufFile::name() const { return impl_->name; }
int64_t GgufFile::size_bytes() const { return static_cast<int64_t>(impl_->bytes.size()); }

const std::string& GgufFile::sha256() const {
  std::call_once(impl_->sha256_once, [this] { impl_->sha256 = Sha256(impl_->bytes); });
  return impl_->sha256;
}

bool GgufFile::Has(absl::string_view key) const { return impl_->Find(key) != nullptr; }

absl::StatusOr<std::optional<int64_t>> GgufFile::GetInt(absl::string_view key) const {
  const GgufValue* value = impl_->Find(key);
  if (value == nullptr) return std::optional<int64_t>();
  if (value->type != ValueType::kArray) {
    if (const auto integer = LoadInt(value->type, value->payload.data())) return integer;
    if (value->type == ValueType::kU64) {
      return absl::InvalidArgumentError(absl::StrCat(impl_->name, ": key ", QuoteUntrusted(key),
                                                     " is ", Load<uint64_t>(value->payload.data()),
                                                     ", at most 2^63-1 expected"));
    }
  }
  return impl_->WrongType(key, *value, "an integer");
}

absl::StatusOr<std::optional<double>> GgufFile::GetFloat(absl::string_view key) const {
  const GgufValue* value = impl_->Find(key);
  if (value == nullptr) return std::optional<double>();
  if (value->type != ValueType::kArray) {
    if (const auto real = LoadFloat(value->type, value->payload.data())) return real;
  }
  return impl_->WrongType(key, *value, "f32 or f64");
}

absl::StatusOr<std::optional<bool>> GgufFile::GetBool(absl::string_view key) const {
  const GgufValue* value = impl_->Find(key);
  if (value == nullptr) return std::optional<bool>();
  if (value->type != ValueType::kBool) return impl_->WrongType(key, *value, "bool");
  return std::optional<bool>(value->payload[0] != 0);
}

absl::StatusOr<std::optional<std::string>> GgufFile::GetString(absl::string_view key) const {
  const GgufValue* value = impl_->Find(key);
  if (value == nullptr) return std::optional<std::string>();
  if (value->type != ValueType::kString) return impl_->WrongType(key, *value, "string");
  return std::optional<std::string>(
      std::string(reinterpret_cast<const char*>(value->payload.data()), value->payload.size()));
}

absl::StatusOr<std::optional<std::vector<std::string>>> GgufFile::GetStringArray(
    absl::string_view key) const {
  const GgufValue* value = impl_->Find(key);
  if (value == nullptr) return std::optional<std::vector<std::string>>();
  if (value->type != ValueType::kArray || value->element_type != ValueType::kString) {
    return impl_->WrongType(key, *value, "an array of string");
  }
  std::vector<std::string> strings;
  strings.reserve(value->count);
  const uint8_t* p = value->payload.data();  // walked by the parser: lengths are proven
  for (uint64_t i = 0; i < value->count; ++i) {
    const uint64_t length = Load<uint64_t>(p);
    strings.emplace_back(reinterpret_cast<const char*>(p) + sizeof(length), length);
    p += sizeof(length) + length;
  }
  return std::optional<std::vector<std::string>>(std::move(strings));
}

absl::StatusOr<std::optional<std::vector<int64_t>>> GgufFile::GetIntArray(
    absl::string_view key) const {
  const GgufValue* value = impl_->Find(key);
  if (value == nullptr) return std::optional<std::vector<int64_t>>();
  const size_t size = ScalarBytes(value->element_type);
  std::vector<int64_t> integers;
  if (value->type == ValueType::kArray) integers.reserve(value->count);
  for (uint64_t i = 0; value->type == ValueType::kArray && i < value->count; ++i) {
    if (size == 0) break;
    const uint8_t* p = value->payload.data() + i * size;
    const bool truth = value->element_type == ValueType::kBool;
    const auto integer = truth ? std::optional<int64_t>(*p != 0) : LoadInt(value->element_type, p);
    if (!integer.has_value()) break;
    integers.push_back(*integer);
  }
  if (value->type != ValueType::kArray || integers.size() != value->count) {
    return impl_->WrongType(key, *value, "an array of integers below 2^63");
  }
  return std::optional<std::vector<int64_t>>(std::move(integers));
}

absl::StatusOr<std::optional<std::vector<float>>> GgufFile::GetFloatArray(
    absl::string_view key) const {
  const GgufValue* value = impl_->Find(key);
  if (value == nullptr) return std::optional<std::vector<float>>();
  if (value->type != ValueType::kArray ||
      (value->element_type != ValueType::kF32 && value->element_type != ValueType::kI32)) {
    return impl_->WrongType(key, *value, "an array of f32 or i32");
  }
  std::vector<float> floats(value->count);
  for (uint64_t i = 0; i < value->count; ++i) {
    const uint8_t* p = value->payload.data() + i * sizeof(float);
    floats[i] = value->element_type == ValueType::kF32 ? Load<float>(p)
                                                       : static_cast<float>(Load<int32_t>(p));
  }
  return std::optional<std::vector<float>>(std::move(floats));
}

absl::StatusOr<std::optional<int64_t>> GgufFile::GetArraySize(absl::string_view key) const {
  const GgufValue* value = impl_->Find(key);
  if (value == nullptr) return std::optional<int64_t>();
  if (value->type != ValueType::kArray) return impl_->WrongType(key, *value, "an array");
  return std::optional<int64_t>(static_cast<int64_t>(value->count));
}

std::vector<std::pair<std::string, std::string>> GgufFile::Describe() const {
  std::vector<std::pair<std::string, std::string>> lines;
  for (const auto& [key, value] : impl_->contents.values) {
    lines.emplace_back(key, Printable(value));
  }
  return lines;
}

const std::vector<TensorInfo>& GgufFile::tensors() const { return impl_->contents.tensors; }

const TensorInfo* GgufFile::FindTensor(absl::string_view name) const {
  const auto found = impl_->contents.tensor_index.find(name);
  return found == impl_->contents.tensor_index.end() ? nullptr
                                                     : &impl_->contents.tensors[found->second];
}

}  // namespace parity::model
