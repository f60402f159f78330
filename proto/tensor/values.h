// The payload of a parity.v1.Tensor: sizes, checksum, validation, decoding. Little-endian hosts
// only (static_assert).
#ifndef PARITY_PROTO_TENSOR_VALUES_H_
#define PARITY_PROTO_TENSOR_VALUES_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "parity/v1/checkpoint.pb.h"

namespace parity::tensor {

inline constexpr int64_t kMaxTensorBytes = 16 << 20;  // the wire's limit for one tensor

// Bytes of one element; 0 for DTYPE_UNSPECIFIED and unknown values.
int ElementBytes(v1::DType dtype);
// "F32", "F16", "BF16"; "?" otherwise. Parse is case-insensitive and also takes "float32",
// "float16", "bfloat16", "fp32"...
absl::string_view DTypeName(v1::DType dtype);
v1::DType ParseDType(absl::string_view text);

// XXH3-64, seed 0.
uint64_t Checksum(absl::string_view bytes);

// Product of the shape, or an error naming what is wrong: no sizes, more than 4, a size < 1,
// overflow past 2^40.
absl::StatusOr<int64_t> CheckedElements(absl::Span<const int64_t> shape);

// Everything that must hold before a tensor is stored: name, dtype, shape, bytes against shape and
// total_elements, size limit (INVALID_ARGUMENT) and checksum (DATA_LOSS). The message names the
// checkpoint and found/expected.
absl::Status Validate(const v1::Tensor& tensor);

// Decodes `bytes` (a whole number of elements) to floats. F16/BF16 to F32 is exact; NaN payloads
// are kept as NaN.
void DecodeTo(v1::DType dtype, absl::string_view bytes, float* out);
std::vector<float> Decode(v1::DType dtype, absl::string_view bytes);

// "[9,64]".
std::string ShapeToString(absl::Span<const int64_t> shape);
// Reads "[1,151936]", "[151936]", "151936" (white space allowed). INVALID_ARGUMENT otherwise.
absl::StatusOr<std::vector<int64_t>> ParseShape(absl::string_view text);

}  // namespace parity::tensor

#endif  // PARITY_PROTO_TENSOR_VALUES_H_
