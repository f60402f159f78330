// Weight types of GGUF files, and the numerics an engine runs with.
#ifndef PARITY_KERNELS_DTYPE_H_
#define PARITY_KERNELS_DTYPE_H_

#include <cstdint>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace parity::kernels {

// Values are ggml's type ids, as they stand in the file.
enum class DType : uint32_t {
  kF32 = 0,
  kF16 = 1,
  kQ4_0 = 2,
  kQ4_1 = 3,
  kQ5_0 = 6,
  kQ5_1 = 7,
  kQ8_0 = 8,
  kQ2_K = 10,
  kQ3_K = 11,
  kQ4_K = 12,
  kQ5_K = 13,
  kQ6_K = 14,
  kIQ4_NL = 20,
  kBF16 = 30,
  kMXFP4 = 39,
};

struct DTypeTraits {
  DType dtype;
  const char* name;    // "Q4_1"
  int block_elements;  // values of one block
  int block_bytes;     // bytes of one block
  bool computable;     // the engines here have products for it
};

// Traits of a ggml type id; null for ids this build has never heard of.
const DTypeTraits* FindDType(uint32_t ggml_type);
// Traits of every type in the table.
absl::Span<const DTypeTraits> AllDTypes();
// REQUIRES: dtype is in the table.
const DTypeTraits& Traits(DType dtype);
// Bytes of a row of `elements`; REQUIRES: elements is a multiple of the block.
int64_t RowBytes(DType dtype, int64_t elements);

// How products and the attention are computed.
enum class Numerics : uint8_t {
  // As llama.cpp's CPU backend does: activations quantised to the weight type's partner, q and
  // probabilities rounded to
  // half against an F16 cache.
  kNative,
  // The arbiter: weights dequantised exactly, float activations, long sums in double.
  kF32,
};

enum class KvType : uint8_t { kF16, kF32 };

}  // namespace parity::kernels

#endif  // PARITY_KERNELS_DTYPE_H_
