#include "kernels/dtype.h"

#include <glog/logging.h>

namespace parity::kernels {
namespace {

// {type, name, elements and bytes of a block, computable}; the byte layouts are in
// kernels/reference/dequantize.cc.
constexpr DTypeTraits kTraits[] = {
    {DType::kF32, "F32", 1, 4, true},         {DType::kF16, "F16", 1, 2, true},
    {DType::kQ4_0, "Q4_0", 32, 18, true},     {DType::kQ4_1, "Q4_1", 32, 20, true},
    {DType::kQ5_0, "Q5_0", 32, 22, true},     {DType::kQ5_1, "Q5_1", 32, 24, true},
    {DType::kQ8_0, "Q8_0", 32, 34, true},     {DType::kQ2_K, "Q2_K", 256, 84, true},
    {DType::kQ3_K, "Q3_K", 256, 110, true},   {DType::kQ4_K, "Q4_K", 256, 144, true},
    {DType::kQ5_K, "Q5_K", 256, 176, true},   {DType::kQ6_K, "Q6_K", 256, 210, true},
    {DType::kIQ4_NL, "IQ4_NL", 32, 18, true}, {DType::kBF16, "BF16", 1, 2, true},
    {DType::kMXFP4, "MXFP4", 32, 17, true},
};

}  // namespace

const DTypeTraits* FindDType(uint32_t ggml_type) {
  for (const DTypeTraits& traits : kTraits) {
    if (static_cast<uint32_t>(traits.dtype) == ggml_type) return &traits;
  }
  return nullptr;
}

absl::Span<const DTypeTraits> AllDTypes() { return kTraits; }

const DTypeTraits& Traits(DType dtype) {
  const DTypeTraits* traits = FindDType(static_cast<uint32_t>(dtype));
  CHECK(traits != nullptr) << "dtype " << static_cast<uint32_t>(dtype);
  return *traits;
}

int64_t RowBytes(DType dtype, int64_t elements) {
  const DTypeTraits& traits = Traits(dtype);
  CHECK_EQ(elements % traits.block_elements, 0) << traits.name;
  return elements / traits.block_elements * traits.block_bytes;
}

}  // namespace parity::kernels
