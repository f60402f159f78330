// The vectorised ops outside the products, as a table of functions per SIMD path. All paths give
// the same bits.
#ifndef PARITY_KERNELS_CPU_VECTOR_OPS_H_
#define PARITY_KERNELS_CPU_VECTOR_OPS_H_

#include <cstdint>

#include "kernels/cpu/simd_path.h"

namespace parity::kernels {

// Positions of one block of cached keys, the lanes of a score.
inline constexpr int64_t kKeyBlock = 16;
// Cached value rows are padded with zeros to a multiple of this.
inline constexpr int64_t kValueStep = 16;

// Attention with accumulators S (float: native, double: f32 numerics) over cache elements E
// (uint16_t: halves, float). While keys (or values) are read, as much is asked for from `ahead` on,
// where the next reads will be: null, or any address.
template <typename S, typename E>
struct AttentionOps {
  // out[r][16 b + lane] = sum over k of q[r][k] * keys[b][k][lane], keys: [blocks][head_size][16].
  // Order: double: k's; float: ggml_vec_dot_f16's of an AVX2 build (attention_lanes.h).
  void (*scores)(const S* const* q, int64_t queries, const E* keys, int64_t head_size,
                 int64_t blocks, S* const* out, const E* ahead);
  // s[begin..end) = softmax of s * scale; eight exponentials (index / 8 equal) are summed in S, as
  // ggml does, these sums in double and in order; rounded to half when asked. Overwrites up to
  // seven values on either side of the range.
  void (*softmax)(S* s, int64_t begin, int64_t end, S scale, bool round_to_half);
  // sums[r][d] += sum over i in [from, to), in order, of p[r][i] * values[i * stride + d], d in
  // [first, last). REQUIRES: first and last are multiples of kValueStep.
  void (*values)(const S* const* p, int64_t queries, const E* values, int64_t stride, int64_t from,
                 int64_t to, int64_t first, int64_t last, S* const* sums, const E* ahead);
};

struct VectorOps {
  // out[i] = x[i] / sqrt(mean(x^2) + eps) * weight[i], squares summed in double over eight lanes.
  // out may be x. native: float squares and products as ggml; f32: everything in double.
  void (*rms_norm_native)(const float* x, const float* weight, int64_t n, float eps, float* out);
  void (*rms_norm_f32)(const float* x, const float* weight, int64_t n, float eps, float* out);
  // out[i] = silu(gate[i]) * up[i], and the tanh form of GELU. out may be gate or up.
  void (*silu_native)(const float* gate, const float* up, int64_t n, float* out);
  void (*silu_f32)(const float* gate, const float* up, int64_t n, float* out);
  void (*gelu_f32)(const float* gate, const float* up, int64_t n, float* out);
  void (*to_halves)(const float* x, int64_t n, uint16_t* out);
  // out[i] = the half nearest to x[i], as a float.
  void (*through_halves)(const float* x, int64_t n, float* out);
  // out[i] = a[i] + b[i]. out may be a or b.
  void (*add)(const float* a, const float* b, int64_t n, float* out);
  // exp of each value, as the ops use it (tests).
  void (*exp_float)(const float* x, int64_t n, float* out);
  void (*exp_double)(const double* x, int64_t n, double* out);

  AttentionOps<float, uint16_t> native_f16;
  AttentionOps<float, float> native_f32;
  AttentionOps<double, uint16_t> double_f16;
  AttentionOps<double, float> double_f32;
};

// REQUIRES: Supported(path). The AVX-512 paths share the AVX2 table.
const VectorOps& VectorOpsFor(SimdPath path);

// One table per path; call VectorOpsFor instead.
const VectorOps& ScalarVectorOps();
const VectorOps& Avx2VectorOps();

}  // namespace parity::kernels

#endif  // PARITY_KERNELS_CPU_VECTOR_OPS_H_
