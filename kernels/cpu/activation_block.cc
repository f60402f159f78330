#include "kernels/cpu/activation_block.h"

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

}  // namespace parity::kernels
