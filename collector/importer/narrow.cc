#include "collector/importer/narrow.h"

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>

#include "proto/tensor/values.h"

namespace parity::importer {
namespace {

// The binary16 next to `value` towards zero; exact where `value` is a binary16. Too large becomes
// infinity.
uint16_t TruncateToHalf(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  const uint16_t sign = static_cast<uint16_t>((bits >> 16) & 0x8000);
  if (std::isnan(value)) return sign | 0x7e00;
  const float magnitude = std::fabs(value);
  if (magnitude >= 65536.0f) return sign | 0x7c00;
  if (magnitude < 0x1p-14f) return sign | static_cast<uint16_t>(magnitude * 0x1p24f);
  return static_cast<uint16_t>(sign | (((bits & 0x7fffffff) - 0x38000000) >> 13));
}

uint16_t TruncateToBrain(float value) {
  if (std::isnan(value)) return 0x7fc0;
  return static_cast<uint16_t>(std::bit_cast<uint32_t>(value) >> 16);
}

bool Same(float a, float b) {
  return std::bit_cast<uint32_t>(a) == std::bit_cast<uint32_t>(b) ||
         (std::isnan(a) && std::isnan(b));
}

}  // namespace

v1::DType EncodeExactly(v1::DType wanted, absl::Span<const float> values, std::string* data) {
  if (wanted == v1::DTYPE_F16 || wanted == v1::DTYPE_BF16) {
    data->resize(values.size() * 2);
    bool exact = true;
    for (size_t i = 0; exact && i < values.size(); ++i) {
      const uint16_t narrow =
          wanted == v1::DTYPE_F16 ? TruncateToHalf(values[i]) : TruncateToBrain(values[i]);
      std::memcpy(data->data() + 2 * i, &narrow, 2);
      float back = 0;
      tensor::DecodeTo(wanted, {data->data() + 2 * i, 2}, &back);
      exact = Same(back, values[i]);
    }
    if (exact) return wanted;
  }
  data->assign(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float));
  return v1::DTYPE_F32;
}

}  // namespace parity::importer
