#include "kernels/cpu/activation_block.h"

#include <cmath>
#include <limits>

namespace parity::kernels {

ActivationScale ScaleOf(float max, ActivationQuantization quantization) {
  if (!(max <= std::numeric_limits<float>::max())) {
    return {std::numeric_limits<float>::quiet_NaN(), 0.0f};
  }
  const float d = max / 127.0f;
  if (max == 0.0f) return {0.0f, 0.0f};
  return {d, quantization == ActivationQuantization::kLlama ? 127.0f / max : 1.0f / d};
}

ActivationScale SuperScaleOf(float largest, ActivationQuantization quantization) {
  if (!std::isfinite(largest)) return {std::numeric_limits<float>::quiet_NaN(), 0.0f};
  if (largest == 0.0f) return {0.0f, 0.0f};
  const float inverse = -127.0f / largest;
  if (!std::isfinite(inverse)) return {0.0f, 0.0f};
  const bool planted = quantization == ActivationQuantization::kPlantedInverseOfScale;
  return {1.0f / inverse, planted ? 1.0f / (largest / -127.0f) : inverse};
}

}  // namespace parity::kernels
