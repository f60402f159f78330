// Every kernel of the CUDA backend, as a function that queues it. Declared here, defined in the .cu
// file that the group names; each definition exists twice, compiled by nvcc and for the emulation.
//
// All pointers are device memory; matrices are row-major. Threading: one thread per stream. Letters
// as in kernels/README.md. Sums have a fixed order: same arguments, same bits.
#ifndef PARITY_KERNELS_CUDA_LAUNCHES_H_
#define PARITY_KERNELS_CUDA_LAUNCHES_H_

#include <cstdint>

#include "kernels/cuda/stream.h"
#include "kernels/cuda/weight_view.h"

namespace parity::kernels::cuda {

// --- activations.cu

// Rows of activations as the integer products read them: x ~ scales[k / 32] * q[k], with scales =
// max|x| / 127 in float and q rounded to nearest even. x, q: [rows, cols]; scales: [rows, cols /
// 32]. REQUIRES: cols is a multiple of 32.
void QuantizeRows(Stream& stream, const float* x, int64_t rows, int64_t cols, int8_t* q,
                  float* scales);
// halves = x / factor as IEEE half, with a power of two per row as factor that puts the row's
// largest value in [2^10, 2^11): no activation overflows, and few underflow. factors: [rows].
void RowsToHalf(Stream& stream, const float* x, int64_t rows, int64_t cols, uint16_t* halves,
                float* factors);
// The same values as bfloat16, rounded to nearest even.
void RowsToBf16(Stream& stream, const float* x, int64_t rows, int64_t cols, uint16_t* bf16);
// x[t, :] *= factors[t], powers of two: exact.
void ScaleRows(Stream& stream, const float* factors, int64_t rows, int64_t cols, float* x);

// --- dequantize.cu

enum class TileType { kFloat, kHalf, kBf16 };

// out[t, :] = row ids[t] of the table. out: [count, cols].
void EmbedRows(Stream& stream, const WeightView& table, const int32_t* ids, int64_t count,
               float* out);
// Rows [first, first + count) as floats, or rounded once to halves or bfloat16. out: [count, cols].
void DequantizeRows(Stream& stream, const WeightView& weight, int64_t first, int64_t count,
                    TileType type, void* out);

// --- products.cu: out[t, r] = sum_k weight[r, k] x[t, k], straight from the packed blocks

// bias: [weight.rows] or null, added to the rounded sum.

// Quantised weights, activations of QuantizeRows: integer dot products of 32 (or 16), float sums.
void Int8Product(Stream& stream, const WeightView& weight, const float* bias, const int8_t* q,
                 const float* scales, int64_t rows, float* out);
// Float weights, float activations, float sums.
void FloatProduct(Stream& stream, const WeightView& weight, const float* bias, const float* x,
                  int64_t rows, float* out);
// Any weights, float activations, double sums.
void DoubleProduct(Stream& stream, const WeightView& weight, const float* bias, const float* x,
                   int64_t rows, float* out);

// --- elementwise.cu. `exact`: computed in double and rounded once (f32 numerics)

void AddRows(Stream& stream, const float* a, const float* b, int64_t count, float* out);
void AddBiasRows(Stream& stream, const float* bias, int64_t rows, int64_t cols, float* x);
void ScaleAll(Stream& stream, float factor, int64_t count, float* x);
void SiluTimes(Stream& stream, const float* gate, const float* up, int64_t count, bool exact,
               float* out);
void GeluTanhTimes(Stream& stream, const float* gate, const float* up, int64_t count, bool exact,
                   float* out);
// Each group of `size` values g: g / sqrt(mean(g^2) + eps) * weight; squares summed in double.
void RmsNormGroups(Stream& stream, const float* x, const float* weight, int64_t groups,
                   int64_t size, float eps, bool exact, float* out);
// sum = a + b, and RmsNormGroups of it. sum may be a or b.
void AddRmsNormGroups(Stream& stream, const float* a, const float* b, const float* weight,
                      int64_t groups, int64_t size, float eps, bool exact, float* sum, float* out);

struct RopeParameters {
  bool adjacent;
  int32_t dims;
  float base;
  float freq_scale;
  const float* factors;  // [dims / 2] or null
};
// Rotates heads of head_size in place. positions: [rows]. Angles by repeated float products as
// llama.cpp's CPU backend has them, or `exact` in double.
void RopeRows(Stream& stream, const RopeParameters& rope, const int32_t* positions, int64_t rows,
              int64_t heads, int32_t head_size, bool exact, float* x);

// --- attention.cu

// Where a row's keys and values lie: [layers][kv_heads][capacity][head_size] each, halves or
// floats.
struct DevicePlace {
  void* keys;
  void* values;
  int32_t position;
  int32_t capacity;
};

// Rows that share one cache.
struct RowTile {
  int32_t first;
  int32_t rows;
};

struct KvLayout {
  int32_t layer;
  int32_t kv_heads;
  int32_t head_size;
  bool half;
};

// k, v: [rows, kv_heads * head_size], rounded to half where the cache is.
void AppendRows(Stream& stream, const KvLayout& layout, const float* k, const float* v,
                const DevicePlace* places, int64_t rows);

struct AttentionCall {
  KvLayout layout;
  int32_t heads;
  float scale;
  int32_t window;  // 0: all before
  const float* q;  // [rows, heads * head_size]
  float* out;
  const DevicePlace* places;  // [rows]
  const RowTile* tiles;       // [tile_count]
  int32_t tile_count;
  int32_t tile_rows;  // most rows of a tile
  int32_t rows;
  int32_t end_position;  // one past the last position of any row; unread where splits > 0
  int32_t splits;        // pieces of the context that a block takes each; 0: it is not split
  bool exact;            // scores and sums in double
  void* partials;        // PartialBytes() where splits > 0
};

// Positions of a split, absolute multiples of it, the first one that a row sees first; a row's bits
// depend on its position alone.
inline constexpr int32_t kSplitPositions = 256;
// Rows that are split along the context; more rows fill the card without.
inline constexpr int32_t kMostSplitRows = 8;
inline constexpr int32_t kMostHeadSize = 512;

// Most rows of a tile for a call with this layout, heads and rows.
int32_t AttentionTileRows(const AttentionCall& call);
// Splits that hold everything that rows with positions below `end` see through a window (0: all);
// some may be empty. Few values for many ends, and the launch of such a call depends on nothing
// else that changes from step to step.
int32_t SplitsFor(int32_t end, int32_t window);
// Bytes of `partials` for a call whose context is split.
int64_t PartialBytes(const AttentionCall& call);
void Attend(Stream& stream, const AttentionCall& call);

// --- top_k.cu

// Values that a block sorts: a row is cut into slices of so many.
inline constexpr int64_t kTopSlice = 4096;

// A slice's largest value (-infinity where it has no number), and the sum of exp(x - most) over it,
// of zeros where `most` is not finite; NaN where the slice holds one.
struct SliceSum {
  double sum;
  double most;
};

// A value and its column as an integer that is larger for what ranks before; 0 for none. Its upper
// half is the value's bits, flipped so that they rise with it, its lower half 2^32 - 1 - column.
using TopKey = uint64_t;

struct TopCall {
  const float* x;  // [rows, cols]
  int64_t rows;
  int64_t cols;
  int32_t k;       // 1..kMostTopK
  void* scratch;   // TopScratchBytes()
  TopKey* keys;    // [rows, k], falling; 0 where a row has no more
  SliceSum* sums;  // [rows, TopSlices(cols)]
};

inline int64_t TopSlices(int64_t cols) { return (cols + kTopSlice - 1) / kTopSlice; }
int64_t TopScratchBytes(int64_t rows, int64_t cols, int32_t k);
void TopOfRows(Stream& stream, const TopCall& call);

}  // namespace parity::kernels::cuda

#endif  // PARITY_KERNELS_CUDA_LAUNCHES_H_
