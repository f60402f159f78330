// Activations as the quantised products read them.
#ifndef PARITY_KERNELS_CPU_ACTIVATION_BLOCK_H_
#define PARITY_KERNELS_CPU_ACTIVATION_BLOCK_H_

#include <cstdint>

namespace parity::kernels {

// What a weight type's product wants its activations as.
enum class ActivationKind : uint8_t {
  kFloat,  // float
  kHalf,   // float, rounded to half
  kBf16,   // float, rounded to bfloat16
  kQ8,     // ActivationBlock: serves Q8_0 and Q8_1 alike
};

// How the inverse scale of kQ8 is formed. The second is a planted error: tests show that a shadow
// run finds it.
enum class ActivationQuantization : uint8_t {
  kLlama,                  // 127 / max|x|
  kPlantedInverseOfScale,  // 1 / (max|x| / 127)
};

// 32 activations. A block with a value that is not finite has scale NaN and zero values: it is seen
// in every output.
struct alignas(16) ActivationBlock {
  int8_t values[32];  // within [-127, 127]
  float scale;        // d: max|x| / 127, rounded to half
  float scaled_sum;   // Q8_1's s: (max|x| / 127) * sum, rounded to half
  int32_t sum;        // of values
  int32_t unused;     // zero
};
static_assert(sizeof(ActivationBlock) == 48);

// Elements of a block of activations, and of the padding of a row.
inline constexpr int64_t kActivationBlock = 32;

// Scale of a block of kQ8 whose largest magnitude is `max`.
struct ActivationScale {
  float d;        // before it is rounded to half
  float inverse;  // what the values are multiplied with
};

// The one place where the rule stands. A `max` that is not finite gives d = NaN.
ActivationScale ScaleOf(float max, ActivationQuantization quantization);

}  // namespace parity::kernels

#endif  // PARITY_KERNELS_CPU_ACTIVATION_BLOCK_H_
