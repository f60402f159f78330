#include "proto/tensor/values.h"

#include <xxhash.h>

#include <bit>
#include <cstring>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "proto/checkpoint/name.h"

#if defined(__x86_64__)
#include <immintrin.h>
#include <xxh_x86dispatch.h>  // XXH3_64bits is then the one for this CPU, not for SSE2
#define PARITY_X86 1
#endif

static_assert(std::endian::native == std::endian::little, "payloads are little-endian");

namespace parity::tensor {
namespace {

constexpr int64_t kMaxElements = int64_t{1} << 40;

float HalfToFloat(uint16_t half) {
  const uint32_t sign = uint32_t{half & 0x8000u} << 16;
  const uint32_t exponent = (half >> 10) & 0x1f;
  uint32_t mantissa = half & 0x3ff;
  if (exponent == 0) {  // zero or subnormal: mantissa * 2^-24 is exact in binary32
    const float magnitude = static_cast<float>(mantissa) * 0x1p-24f;
    return std::bit_cast<float>(sign | std::bit_cast<uint32_t>(magnitude));
  }
  if (exponent == 31) {
    // A signalling NaN becomes quiet, as vcvtph2ps does.
    const uint32_t quiet = mantissa != 0 ? 1u << 22 : 0;
    return std::bit_cast<float>(sign | 0x7f800000u | quiet | (mantissa << 13));
  }
  return std::bit_cast<float>(sign | ((exponent + 112) << 23) | (mantissa << 13));
}

void DecodeHalfPortable(const char* in, int64_t n, float* out) {
  for (int64_t i = 0; i < n; ++i) {
    uint16_t half;
    std::memcpy(&half, in + 2 * i, 2);
    out[i] = HalfToFloat(half);
  }
}

#ifdef PARITY_X86
__attribute__((target("avx,f16c"))) void DecodeHalfF16c(const char* in, int64_t n, float* out) {
  int64_t i = 0;
  for (; i + 8 <= n; i += 8) {
    const __m128i half = _mm_loadu_si128(reinterpret_cast<const __m128i*>(in + 2 * i));
    _mm256_storeu_ps(out + i, _mm256_cvtph_ps(half));
  }
  DecodeHalfPortable(in + 2 * i, n - i, out + i);
}
#endif

void DecodeHalf(const char* in, int64_t n, float* out) {
#ifdef PARITY_X86
  // Whatever has AVX2 has F16C, which Clang 14 cannot be asked for.
  static const bool has_f16c = __builtin_cpu_supports("avx2");
  if (has_f16c) return DecodeHalfF16c(in, n, out);
#endif
  DecodeHalfPortable(in, n, out);
}

void DecodeBrain(const char* in, int64_t n, float* out) {
  for (int64_t i = 0; i < n; ++i) {
    uint16_t high;
    std::memcpy(&high, in + 2 * i, 2);
    const uint32_t bits = uint32_t{high} << 16;
    std::memcpy(out + i, &bits, 4);
  }
}

}  // namespace

int ElementBytes(v1::DType dtype) {
  switch (dtype) {
    case v1::DTYPE_F32:
      return 4;
    case v1::DTYPE_F16:
    case v1::DTYPE_BF16:
      return 2;
    default:
      return 0;
  }
}

absl::string_view DTypeName(v1::DType dtype) {
  switch (dtype) {
    case v1::DTYPE_F32:
      return "F32";
    case v1::DTYPE_F16:
      return "F16";
    case v1::DTYPE_BF16:
      return "BF16";
    default:
      return "?";
  }
}

v1::DType ParseDType(absl::string_view text) {
  std::string lower = absl::AsciiStrToLower(absl::StripAsciiWhitespace(text));
  const size_t dot = lower.rfind('.');  // "torch.float32"
  if (dot != std::string::npos) lower.erase(0, dot + 1);
  if (lower == "f32" || lower == "fp32" || lower == "float32" || lower == "float") {
    return v1::DTYPE_F32;
  }
  if (lower == "f16" || lower == "fp16" || lower == "float16" || lower == "half") {
    return v1::DTYPE_F16;
  }
  if (lower == "bf16" || lower == "bfloat16") return v1::DTYPE_BF16;
  return v1::DTYPE_UNSPECIFIED;
}

uint64_t Checksum(absl::string_view bytes) { return XXH3_64bits(bytes.data(), bytes.size()); }

absl::StatusOr<int64_t> CheckedElements(absl::Span<const int64_t> shape) {
  if (shape.empty() || shape.size() > 4) {
    return absl::InvalidArgumentError(
        absl::StrCat("shape has ", shape.size(), " sizes, expected 1 to 4"));
  }
  int64_t elements = 1;
  for (const int64_t size : shape) {
    if (size < 1) {
      return absl::InvalidArgumentError(
          absl::StrCat("shape ", ShapeToString(shape), " has a size below 1"));
    }
    if (size > kMaxElements / elements) {
      return absl::InvalidArgumentError(
          absl::StrCat("shape ", ShapeToString(shape), " has more than 2^40 elements"));
    }
    elements *= size;
  }
  return elements;
}

absl::Status Validate(const v1::Tensor& tensor) {
  if (!checkpoint::IsStorable(tensor.checkpoint())) {
    return absl::InvalidArgumentError(absl::StrCat("checkpoint name of ",
                                                   tensor.checkpoint().size(),
                                                   " bytes: expected 1 to 128 of [A-Za-z0-9._/-]"));
  }
  auto refuse = [&](auto&&... what) {
    return absl::InvalidArgumentError(absl::StrCat(tensor.checkpoint(), ": ", what...));
  };
  const int64_t width = ElementBytes(tensor.dtype());
  if (width == 0) {
    return refuse("dtype ", static_cast<int>(tensor.dtype()), ", expected F32, F16 or BF16");
  }
  absl::StatusOr<int64_t> elements = CheckedElements(tensor.shape());
  if (!elements.ok()) return refuse(elements.status().message());
  const int64_t bytes = static_cast<int64_t>(tensor.data().size());
  if (bytes == 0 || bytes % width != 0) {
    return refuse(bytes, " bytes of data, expected a whole number of ", width, "-byte elements");
  }
  if (bytes > kMaxTensorBytes) {
    return refuse(bytes, " bytes of data, at most ", kMaxTensorBytes, " are taken");
  }
  if (tensor.total_elements() != 0 && tensor.total_elements() != *elements) {
    return refuse("total_elements ", tensor.total_elements(), ", expected the ", *elements,
                  " of shape ", ShapeToString(tensor.shape()));
  }
  const int64_t stored = bytes / width;
  if (stored > *elements || (tensor.total_elements() == 0 && stored != *elements)) {
    return refuse(stored, " elements in data, expected the ", *elements, " of shape ",
                  ShapeToString(tensor.shape()));
  }
  const uint64_t found = Checksum(tensor.data());
  if (found != tensor.xxh3()) {
    return absl::DataLossError(absl::StrCat(tensor.checkpoint(), ": xxh3 of the data is ",
                                            absl::Hex(found, absl::kZeroPad16), ", expected ",
                                            absl::Hex(tensor.xxh3(), absl::kZeroPad16)));
  }
  return absl::OkStatus();
}

void DecodeTo(v1::DType dtype, absl::string_view bytes, float* out) {
  switch (dtype) {
    case v1::DTYPE_F32:
      if (!bytes.empty()) std::memcpy(out, bytes.data(), bytes.size() / 4 * 4);
      return;
    case v1::DTYPE_F16:
      return DecodeHalf(bytes.data(), static_cast<int64_t>(bytes.size() / 2), out);
    case v1::DTYPE_BF16:
      return DecodeBrain(bytes.data(), static_cast<int64_t>(bytes.size() / 2), out);
    default:
      return;
  }
}

std::vector<float> Decode(v1::DType dtype, absl::string_view bytes) {
  const int width = ElementBytes(dtype);
  std::vector<float> values(width == 0 ? 0 : bytes.size() / width);
  DecodeTo(dtype, bytes, values.data());
  return values;
}

std::string ShapeToString(absl::Span<const int64_t> shape) {
  return absl::StrCat("[", absl::StrJoin(shape, ","), "]");
}

absl::StatusOr<std::vector<int64_t>> ParseShape(absl::string_view text) {
  auto refuse = [&] {
    return absl::InvalidArgumentError(
        absl::StrCat("shape \"", text.substr(0, 64), "\", expected a list such as [1,151936]"));
  };
  absl::string_view inner = absl::StripAsciiWhitespace(text);
  if (!inner.empty() && inner.front() == '[') {
    if (inner.size() < 2 || inner.back() != ']') return refuse();
    inner = inner.substr(1, inner.size() - 2);
  }
  std::vector<int64_t> shape;
  for (absl::string_view part : absl::StrSplit(inner, absl::MaxSplits(',', 8))) {
    part = absl::StripAsciiWhitespace(part);
    int64_t size = 0;
    // SimpleAtoi also takes a sign; a size is digits only.
    if (part.empty() || !absl::ascii_isdigit(part.front()) || !absl::SimpleAtoi(part, &size)) {
      return refuse();
    }
    shape.push_back(size);
  }
  absl::StatusOr<int64_t> elements = CheckedElements(shape);
  if (!elements.ok()) return elements.status();
  return shape;
}

}  // namespace parity::tensor
