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
  kQ8K,    // ActivationSuperBlock: Q8_K
};

// How the inverse scale of kQ8 and kQ8K is formed. The second is a planted error: tests show that a
// shadow run finds it.
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

// 256 activations for the K-quants. A block with a value that is not finite is as above; one whose
// values are all below 127 / FLT_MAX is zeros, as llama.cpp's is.
struct alignas(16) ActivationSuperBlock {
  int8_t values[256];  // within [-127, 127]
  int16_t sums16[16];  // of 16 values each
  int16_t sums32[8];   // of 32 values each
  float scale;         // d = 1 / inverse, not rounded to half
  int32_t unused[3];   // zero
};
static_assert(sizeof(ActivationSuperBlock) == 320);

// Elements of a block of activations, and of the padding of a row.
inline constexpr int64_t kActivationBlock = 32;
inline constexpr int64_t kActivationSuperBlock = 256;

// Scale of a block of kQ8 whose largest magnitude is `max`.
struct ActivationScale {
  float d;        // before it is rounded to half
  float inverse;  // what the values are multiplied with
};

// The rule; quantize_avx2.cc has it for eight blocks at once, with the same bits. A `max` that is
// not finite gives d = NaN.
ActivationScale ScaleOf(float max, ActivationQuantization quantization);

// Scale of a block of kQ8K; `largest` is its first value of the largest magnitude, with its sign.
ActivationScale SuperScaleOf(float largest, ActivationQuantization quantization);

}  // namespace parity::kernels

#endif  // PARITY_KERNELS_CPU_ACTIVATION_BLOCK_H_
