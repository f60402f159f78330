#include "worker/model/gguf_parser.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <iterator>
#include <limits>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "kernels/dtype.h"
#include "proto/status/status_macros.h"

namespace parity::model {

namespace {

// Limits far above any published model, far below what could exhaust memory or time.
constexpr uint64_t kMinFileBytes = 24;  // magic, version and two counts
constexpr uint64_t kMaxTensors = 65536;
constexpr uint64_t kMaxKeys = 65536;
constexpr uint64_t kMaxKeyBytes = 65535;
constexpr uint64_t kMaxTensorNameBytes = 64;
constexpr uint64_t kMaxStringBytes = uint64_t{16} << 20;
constexpr uint64_t kMaxArrayElements = uint64_t{16} << 20;
constexpr uint64_t kMaxMetadataBytes = uint64_t{256} << 20;
constexpr uint64_t kMinAlignment = 8;
constexpr uint64_t kMaxAlignment = uint64_t{1} << 20;
constexpr uint64_t kDefaultAlignment = 32;
constexpr uint64_t kMinKeyBytes = 8 + 1 + 4 + 1;  // length, one byte of key, type, bool
constexpr uint64_t kMinTensorBytes =
    8 + 1 + 4 + 8 + 4 + 8;  // length, name, n_dims, ne, type, offset

template <typename... Args>
absl::Status Invalid(const Args&... args) {
  return absl::InvalidArgumentError(absl::StrCat(args...));
}

// Takes little-endian values off the front; running out names the field.
class Reader {
 public:
  explicit Reader(absl::Span<const uint8_t> bytes) : bytes_(bytes) {}

  uint64_t remaining() const { return bytes_.size() - position_; }
  uint64_t position() const { return position_; }

  absl::StatusOr<absl::Span<const uint8_t>> Take(uint64_t count, absl::string_view what) {
    if (count > remaining()) {
      return Invalid(what, ": ", count, " bytes needed at offset ", position_, ", ", remaining(),
                     " left in the file (truncated?)");
    }
    const auto taken = bytes_.subspan(position_, count);
    position_ += count;
    return taken;
  }

  template <typename T>
  absl::StatusOr<T> TakeInt(absl::string_view what) {
    ASSIGN_OR_RETURN(const auto bytes, Take(sizeof(T), what));
    T value;
    std::memcpy(&value, bytes.data(), sizeof(value));
    return value;
  }

  absl::StatusOr<absl::string_view> TakeString(uint64_t limit, absl::string_view what) {
    ASSIGN_OR_RETURN(const uint64_t length, TakeInt<uint64_t>(what));
    if (length > limit) {
      return Invalid(what, ": string of ", length, " bytes, at most ", limit, " expected");
    }
    ASSIGN_OR_RETURN(const auto bytes, Take(length, what));
    return absl::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  }

 private:
  absl::Span<const uint8_t> bytes_;
  uint64_t position_ = 0;
};

static_assert(std::endian::native == std::endian::little, "values are copied as they lie");

class Parser {
 public:
  explicit Parser(absl::Span<const uint8_t> bytes) : bytes_(bytes), reader_(bytes) {}

  absl::StatusOr<GgufContents> Parse() {
    RETURN_IF_ERROR(ReadHeader());
    for (uint64_t i = 0; i < key_count_; ++i) RETURN_IF_ERROR(ReadKey(i));
    RETURN_IF_ERROR(ReadAlignment());
    for (uint64_t i = 0; i < tensor_count_; ++i) RETURN_IF_ERROR(ReadTensor(i));
    RETURN_IF_ERROR(PlaceTensors());
    return std::move(contents_);
  }

 private:
  absl::Status ReadHeader() {
    if (bytes_.size() < kMinFileBytes) {
      return Invalid("not a GGUF file: ", bytes_.size(), " bytes, at least ", kMinFileBytes,
                     " expected");
    }
    ASSIGN_OR_RETURN(const auto magic, reader_.Take(4, "magic"));
    const absl::string_view text(reinterpret_cast<const char*>(magic.data()), 4);
    if (text != "GGUF") {
      return Invalid("not a GGUF file: begins with ", QuoteUntrusted(text), ", 'GGUF' expected");
    }
    ASSIGN_OR_RETURN(const uint32_t version, reader_.TakeInt<uint32_t>("version"));
    if ((version & 0xffff) == 0 && version != 0) {
      return Invalid("big-endian GGUF file (version field 0x", absl::Hex(version, absl::kZeroPad8),
                     "): only little-endian files are supported");
    }
    if (version != 2 && version != 3) {
      return Invalid("GGUF version ", version, ", 2 or 3 expected");
    }
    ASSIGN_OR_RETURN(tensor_count_, reader_.TakeInt<uint64_t>("tensor count"));
    ASSIGN_OR_RETURN(key_count_, reader_.TakeInt<uint64_t>("key count"));
    RETURN_IF_ERROR(CheckCount("tensor count", tensor_count_, kMaxTensors, kMinTensorBytes));
    return CheckCount("key count", key_count_, kMaxKeys, kMinKeyBytes);
  }

  absl::Status CheckCount(absl::string_view what, uint64_t count, uint64_t limit,
                          uint64_t record_bytes) {
    if (count > limit) return Invalid(what, " ", count, ", at most ", limit, " expected");
    if (count > reader_.remaining() / record_bytes) {
      return Invalid(what, " ", count, ": the ", reader_.remaining(),
                     " bytes left in the file hold at most ", reader_.remaining() / record_bytes);
    }
    return absl::OkStatus();
  }

  absl::Status ReadKey(uint64_t index) {
    ASSIGN_OR_RETURN(const absl::string_view key,
                     reader_.TakeString(kMaxKeyBytes, absl::StrCat("key ", index)));
    if (key.empty()) return Invalid("key ", index, " is empty");
    const std::string what = absl::StrCat("key ", QuoteUntrusted(key));
    ASSIGN_OR_RETURN(const uint32_t type, reader_.TakeInt<uint32_t>(what));
    GgufValue value;
    value.type = value.element_type = static_cast<ValueType>(type);
    value.count = 1;
    if (value.type == ValueType::kArray) {
      RETURN_IF_ERROR(ReadArray(what, value));
    } else {
      RETURN_IF_ERROR(ReadScalar(what, value));
    }
    if (reader_.position() > kMaxMetadataBytes) {
      return Invalid(what, ": metadata go on past ", kMaxMetadataBytes, " bytes");
    }
    if (!contents_.value_index.emplace(std::string(key), contents_.values.size()).second) {
      return Invalid(what, " stands twice");
    }
    contents_.values.emplace_back(std::string(key), value);
    return absl::OkStatus();
  }

  absl::Status ReadScalar(const std::string& what, GgufValue& value) {
    if (value.type == ValueType::kString) {
      ASSIGN_OR_RETURN(const absl::string_view text, reader_.TakeString(kMaxStringBytes, what));
      value.payload =
          absl::MakeConstSpan(reinterpret_cast<const uint8_t*>(text.data()), text.size());
      return absl::OkStatus();
    }
    const size_t size = ScalarBytes(value.type);
    if (size == 0) {
      return Invalid(what, ": value type ", static_cast<uint32_t>(value.type),
                     ", 0 to 12 expected");
    }
    ASSIGN_OR_RETURN(value.payload, reader_.Take(size, what));
    if (value.type == ValueType::kBool && value.payload[0] > 1) {
      return Invalid(what, ": bool of value ", value.payload[0], ", 0 or 1 expected");
    }
    return absl::OkStatus();
  }

  absl::Status ReadArray(const std::string& what, GgufValue& value) {
    ASSIGN_OR_RETURN(const uint32_t type, reader_.TakeInt<uint32_t>(what));
    value.element_type = static_cast<ValueType>(type);
    const size_t size = ScalarBytes(value.element_type);
    if (value.element_type == ValueType::kArray) {
      return Invalid(what, ": array of arrays, an array of scalars or strings expected");
    }
    if (size == 0 && value.element_type != ValueType::kString) {
      return Invalid(what, ": array of value type ", type, ", 0 to 12 expected");
    }
    ASSIGN_OR_RETURN(value.count, reader_.TakeInt<uint64_t>(what));
    if (value.count > kMaxArrayElements) {
      return Invalid(what, ": array of ", value.count, " elements, at most ", kMaxArrayElements,
                     " expected");
    }
    if (size != 0) {
      // At most 2^24 * 8: cannot overflow.
      ASSIGN_OR_RETURN(value.payload, reader_.Take(value.count * size, what));
      return absl::OkStatus();
    }
    const uint64_t begin = reader_.position();
    for (uint64_t i = 0; i < value.count; ++i) {
      RETURN_IF_ERROR(reader_.TakeString(kMaxStringBytes, what).status());
    }
    value.payload = bytes_.subspan(begin, reader_.position() - begin);
    return absl::OkStatus();
  }

  absl::Status ReadAlignment() {
    const auto found = contents_.value_index.find("general.alignment");
    if (found == contents_.value_index.end()) return absl::OkStatus();
    const GgufValue& value = contents_.values[found->second].second;
    if (value.type != ValueType::kU32) {
      return Invalid("key 'general.alignment' is ", ValueTypeName(value.type), ", u32 expected");
    }
    uint32_t alignment;
    std::memcpy(&alignment, value.payload.data(), sizeof(alignment));
    if (!std::has_single_bit(alignment) || alignment < kMinAlignment || alignment > kMaxAlignment) {
      return Invalid("key 'general.alignment' is ", alignment, ", a power of two from ",
                     kMinAlignment, " to ", kMaxAlignment, " expected");
    }
    alignment_ = alignment;
    return absl::OkStatus();
  }

  absl::Status ReadTensor(uint64_t index) {
    TensorInfo tensor;
    ASSIGN_OR_RETURN(const absl::string_view name,
                     reader_.TakeString(kMaxTensorNameBytes, absl::StrCat("tensor ", index)));
    if (name.empty()) return Invalid("tensor ", index, " has no name");
    tensor.name = std::string(name);
    const std::string what = absl::StrCat("tensor ", QuoteUntrusted(name));
    ASSIGN_OR_RETURN(const uint32_t n_dims, reader_.TakeInt<uint32_t>(what));
    if (n_dims < 1 || n_dims > 4) {
      return Invalid(what, ": ", n_dims, " dimensions, 1 to 4 expected");
    }
    tensor.n_dims = static_cast<int32_t>(n_dims);
    std::fill(std::begin(tensor.ne), std::end(tensor.ne), 1);
    uint64_t elements = 1;
    for (uint32_t d = 0; d < n_dims; ++d) {
      ASSIGN_OR_RETURN(const uint64_t size, reader_.TakeInt<uint64_t>(what));
      if (size == 0 || size > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) {
        return Invalid(what, ": size ", size, " of dimension ", d, ", 1 to 2^63-1 expected");
      }
      tensor.ne[d] = static_cast<int64_t>(size);
      if (elements > static_cast<uint64_t>(std::numeric_limits<int64_t>::max()) / size) {
        return Invalid(what, ": the product of its sizes overflows 63 bits");
      }
      elements *= size;
    }
    ASSIGN_OR_RETURN(tensor.ggml_type, reader_.TakeInt<uint32_t>(what));
    ASSIGN_OR_RETURN(const uint64_t offset, reader_.TakeInt<uint64_t>(what));
    if (offset % alignment_ != 0) {
      return Invalid(what, ": offset ", offset, " is not a multiple of the alignment ", alignment_);
    }
    if (offset > bytes_.size()) {
      return Invalid(what, ": offset ", offset, " is beyond the file's ", bytes_.size(), " bytes");
    }
    tensor.offset = static_cast<int64_t>(offset);
    if (!contents_.tensor_index.emplace(tensor.name, contents_.tensors.size()).second) {
      return Invalid(what, " stands twice");
    }
    contents_.tensors.push_back(std::move(tensor));
    return absl::OkStatus();
  }

  // Gives every tensor of a known type its bytes; they must follow each other without overlap.
  absl::Status PlaceTensors() {
    if (contents_.tensors.empty()) return absl::OkStatus();
    const uint64_t begin = (reader_.position() + alignment_ - 1) / alignment_ * alignment_;
    if (begin > bytes_.size()) {
      return Invalid("the data section would begin at ", begin, ", the file has ", bytes_.size(),
                     " bytes (truncated?)");
    }
    const auto data = bytes_.subspan(begin);
    uint64_t previous_end = 0;
    for (TensorInfo& tensor : contents_.tensors) {
      const std::string what = absl::StrCat("tensor ", QuoteUntrusted(tensor.name));
      const uint64_t offset = static_cast<uint64_t>(tensor.offset);
      if (offset < previous_end) {
        return Invalid(what, ": offset ", offset, " is before the end of the tensor in front, ",
                       previous_end);
      }
      ASSIGN_OR_RETURN(const uint64_t size, TensorBytes(what, tensor));
      if (offset > data.size() || size > data.size() - offset) {
        return Invalid(what, ": ", size, " bytes at offset ", offset, ", the data section has ",
                       data.size(), " (truncated?)");
      }
      tensor.bytes = data.subspan(offset, size);
      previous_end = offset + size;
    }
    return absl::OkStatus();
  }

  // 0 for a type whose block layout is unknown.
  absl::StatusOr<uint64_t> TensorBytes(const std::string& what, const TensorInfo& tensor) {
    const kernels::DTypeTraits* traits = kernels::FindDType(tensor.ggml_type);
    if (traits == nullptr) return 0;
    if (tensor.ne[0] % traits->block_elements != 0) {
      return Invalid(what, ": rows of ", tensor.ne[0], " values, a multiple of ", traits->name,
                     "'s block of ", traits->block_elements, " expected");
    }
    // The product of the sizes fits 63 bits, so blocks * block_bytes fits 128.
    unsigned __int128 size = static_cast<uint64_t>(tensor.ne[0] / traits->block_elements);
    for (int d = 1; d < 4; ++d) size *= static_cast<uint64_t>(tensor.ne[d]);
    size *= static_cast<uint64_t>(traits->block_bytes);
    if (size > bytes_.size()) {
      return Invalid(what, ": [", tensor.ne[0], ", ", tensor.ne[1], ", ", tensor.ne[2], ", ",
                     tensor.ne[3], "] of ", traits->name, " is more than the file's ",
                     bytes_.size(), " bytes (truncated?)");
    }
    return static_cast<uint64_t>(size);
  }

  absl::Span<const uint8_t> bytes_;
  Reader reader_;
  uint64_t tensor_count_ = 0;
  uint64_t key_count_ = 0;
  uint64_t alignment_ = kDefaultAlignment;
  GgufContents contents_;
};

}  // namespace

absl::string_view ValueTypeName(ValueType type) {
  static constexpr absl::string_view kNames[] = {"u8",  "i8",  "u16",  "i16",    "u32",
                                                 "i32", "f32", "bool", "string", "array",
                                                 "u64", "i64", "f64"};
  const uint32_t index = static_cast<uint32_t>(type);
  return index < std::size(kNames) ? kNames[index] : "unknown";
}

size_t ScalarBytes(ValueType type) {
  switch (type) {
    case ValueType::kU8:
    case ValueType::kI8:
    case ValueType::kBool:
      return 1;
    case ValueType::kU16:
    case ValueType::kI16:
      return 2;
    case ValueType::kU32:
    case ValueType::kI32:
    case ValueType::kF32:
      return 4;
    case ValueType::kU64:
    case ValueType::kI64:
    case ValueType::kF64:
      return 8;
    case ValueType::kString:
    case ValueType::kArray:
      break;
  }
  return 0;
}

std::string QuoteUntrusted(absl::string_view text) {
  constexpr size_t kShown = 80;
  std::string shown = absl::CHexEscape(text.substr(0, kShown));
  if (shown.size() > kShown || text.size() > kShown) {
    shown.resize(std::min(shown.size(), kShown));
    shown += "...";
  }
  return absl::StrCat("'", shown, "'");
}

absl::StatusOr<GgufContents> ParseGguf(absl::Span<const uint8_t> bytes) {
  return Parser(bytes).Parse();
}

}  // namespace parity::model
