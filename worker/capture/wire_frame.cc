#include "worker/capture/wire_frame.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/wire_format_lite.h>

#include <cstring>
#include <string>

#include "absl/strings/str_cat.h"
#include "proto/tensor/values.h"

#if defined(__x86_64__)
#include <immintrin.h>
#define PARITY_X86 1
#endif

namespace parity::capture {
namespace {

using google::protobuf::internal::WireFormatLite;
using google::protobuf::io::CodedOutputStream;

// All field numbers here are below 16: tags of one byte.
constexpr char Tag(int field, WireFormatLite::WireType type) {
  return static_cast<char>(field << 3 | type);
}
constexpr char kTensors =
    Tag(v1::Frame::kTensorsFieldNumber, WireFormatLite::WIRETYPE_LENGTH_DELIMITED);
constexpr char kCheckpoint =
    Tag(v1::Tensor::kCheckpointFieldNumber, WireFormatLite::WIRETYPE_LENGTH_DELIMITED);
constexpr char kDType = Tag(v1::Tensor::kDtypeFieldNumber, WireFormatLite::WIRETYPE_VARINT);
constexpr char kShape =
    Tag(v1::Tensor::kShapeFieldNumber, WireFormatLite::WIRETYPE_LENGTH_DELIMITED);
constexpr char kData = Tag(v1::Tensor::kDataFieldNumber, WireFormatLite::WIRETYPE_LENGTH_DELIMITED);
constexpr char kTotalElements =
    Tag(v1::Tensor::kTotalElementsFieldNumber, WireFormatLite::WIRETYPE_VARINT);
constexpr char kXxh3 = Tag(v1::Tensor::kXxh3FieldNumber, WireFormatLite::WIRETYPE_FIXED64);
constexpr char kNotSubstituted =
    Tag(v1::Tensor::kNotSubstitutedFieldNumber, WireFormatLite::WIRETYPE_VARINT);

int64_t VarintBytes(uint64_t value) {
  return static_cast<int64_t>(CodedOutputStream::VarintSize64(value));
}

// Bytes of a field of `size` bytes with its tag and length.
int64_t DelimitedBytes(int64_t size) { return 1 + VarintBytes(size) + size; }

int64_t ShapeBytes(const TensorHeader& header) {
  if (header.heads == 0) return VarintBytes(header.total_elements);
  return VarintBytes(header.heads) + VarintBytes(header.total_elements / header.heads);
}

int64_t TensorBytes(const TensorHeader& header, int64_t stored_elements) {
  return DelimitedBytes(static_cast<int64_t>(header.checkpoint.size())) + 2 +
         DelimitedBytes(ShapeBytes(header)) +
         DelimitedBytes(stored_elements * static_cast<int64_t>(sizeof(float))) + 1 +
         VarintBytes(header.total_elements) + 1 + static_cast<int64_t>(sizeof(uint64_t)) +
         (header.not_substituted ? 2 : 0);
}

char* PutVarint(uint64_t value, char* out) {
  return reinterpret_cast<char*>(
      CodedOutputStream::WriteVarint64ToArray(value, reinterpret_cast<uint8_t*>(out)));
}

char* PutTag(char tag, uint64_t value, char* out) {
  *out = tag;
  return PutVarint(value, out + 1);
}

char* PutBytes(const void* bytes, size_t size, char* out) {
  std::memcpy(out, bytes, size);
  return out + size;
}

#ifdef PARITY_X86
constexpr size_t kLine = 64;

bool HasAvx() {
  static const bool has_avx = __builtin_cpu_supports("avx") != 0;
  return has_avx;
}

// Past the caches: nobody reads the copy for milliseconds, and fetching its lines first, only to
// overwrite them, is half the cost. Whole lines only, by stores of half a line: quarters are slower
// than an ordinary copy.
__attribute__((target("avx"))) void CopyLines(const char* from, size_t size, char* to) {
  for (size_t i = 0; i < size; i += kLine) {
    const __m256i low = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from + i));
    const __m256i high = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from + i + 32));
    _mm256_stream_si256(reinterpret_cast<__m256i*>(to + i), low);
    _mm256_stream_si256(reinterpret_cast<__m256i*>(to + i + 32), high);
  }
}
#endif

char* PutValues(absl::Span<const float> values, char* out) {
  const char* from = reinterpret_cast<const char*>(values.data());
  size_t size = values.size() * sizeof(float);
#ifdef PARITY_X86
  if (size >= 4 * kLine && HasAvx()) {
    const size_t head = -reinterpret_cast<uintptr_t>(out) % kLine;
    out = PutBytes(from, head, out);
    const size_t lines = (size - head) / kLine * kLine;
    CopyLines(from + head, lines, out);
    out += lines;
    from += head + lines;
    size -= head + lines;
  }
#endif
  return PutBytes(from, size, out);
}

}  // namespace

int64_t EncodedBytes(const TensorHeader& header, int64_t stored_elements) {
  return DelimitedBytes(TensorBytes(header, stored_elements));
}

char* EncodeTensor(const TensorHeader& header, absl::Span<const float> values, char* out) {
  const size_t bytes = values.size() * sizeof(float);
  out = PutTag(kTensors, TensorBytes(header, static_cast<int64_t>(values.size())), out);
  out = PutTag(kCheckpoint, header.checkpoint.size(), out);
  out = PutBytes(header.checkpoint.data(), header.checkpoint.size(), out);
  out = PutTag(kDType, v1::DTYPE_F32, out);
  out = PutTag(kShape, ShapeBytes(header), out);
  if (header.heads > 0) out = PutVarint(header.heads, out);
  out = PutVarint(header.heads > 0 ? header.total_elements / header.heads : header.total_elements,
                  out);
  // Of the values, not of the copy: reading them brings them near for the copy.
  const uint64_t checksum = tensor::Checksum({reinterpret_cast<const char*>(values.data()), bytes});
  out = PutTag(kData, bytes, out);
  out = PutValues(values, out);
  out = PutTag(kTotalElements, header.total_elements, out);
  *out = kXxh3;
  out = PutBytes(&checksum, sizeof(checksum), out + 1);  // little-endian: proto/tensor/values.h
  if (header.not_substituted) out = PutTag(kNotSubstituted, 1, out);
  return out;
}

void PublishTensors() {
#ifdef PARITY_X86
  _mm_sfence();
#endif
}

std::shared_ptr<const WireFrame> WireFrame::From(const v1::Frame& frame) {
  const auto text = std::make_shared<const std::string>(frame.SerializeAsString());
  auto wire = std::make_shared<WireFrame>();
  wire->Append(*text, frame.tensors_size(), std::shared_ptr<const char>(text, text->data()));
  return wire;
}

void WireFrame::Append(absl::string_view piece, int64_t tensors,
                       const std::shared_ptr<const char>& owner) {
  tensors_ += tensors;
  bytes_ += static_cast<int64_t>(piece.size());
  const bool same_owner = !owners_.empty() && owners_.back() == owner;
  if (!same_owner) owners_.push_back(owner);
  if (same_owner && pieces_.back().data() + pieces_.back().size() == piece.data()) {
    pieces_.back() = {pieces_.back().data(), pieces_.back().size() + piece.size()};
  } else {
    pieces_.push_back(piece);
  }
}

v1::Frame WireFrame::Parse() const {
  std::string text;
  text.reserve(static_cast<size_t>(bytes_));
  for (const absl::string_view piece : pieces_) absl::StrAppend(&text, piece);
  v1::Frame frame;
  frame.ParseFromString(text);
  return frame;
}

}  // namespace parity::capture
