// Attention with the softmax taken along the way: a block holds a few queries that read the same
// keys (the query heads of a group, and in prefill several rows), walks over tiles of positions,
// and keeps per query the largest score so far, the sum of exponentials and the weighted sum of
// values.
//
// Tiles and splits start at absolute multiples of their size, and a position that a query does not
// see never enters its sums, so a query's bits do not depend on the other queries of the block.
#include "kernels/cuda/device_code.cuh"
#include "kernels/cuda/launches.h"

namespace parity::kernels::cuda {
namespace {

constexpr int kThreads = 128;
constexpr int kWarps = kThreads / kWarpSize;
// What a block may have on every card without asking.
constexpr int64_t kSharedBytes = 48 << 10;
// Queries of a prefill tile, and values of their sums: these, twice and in double, leave room for
// keys.
constexpr int32_t kMostTileQueries = 16;
constexpr int32_t kMostTileValues = 1536;

struct Geometry {
  int heads_per_block;  // of one group
  int queries;          // most of a block
  int tile;             // positions, at most a warp
  int pitch;            // elements of a position in shared memory
  int64_t shared_bytes;
};

int GroupOf(const AttentionCall& call) { return call.heads / call.layout.kv_heads; }

Geometry GeometryOf(const AttentionCall& call) {
  Geometry g;
  const int64_t size = call.layout.head_size;
  const int64_t sum = call.exact ? sizeof(double) : sizeof(float);
  const int64_t element = call.layout.half ? sizeof(uint16_t) : sizeof(float);
  // One element or two more: the warp's lanes, a position each, then read from different banks.
  g.pitch = static_cast<int>(size + (call.layout.half && size % 2 == 0 ? 2 : 1));
  g.heads_per_block = GroupOf(call) < 8 ? GroupOf(call) : 8;
  g.queries = g.heads_per_block * call.tile_rows;
  g.tile = kWarpSize;
  const auto bytes = [&] {
    // q, sums; probabilities; largest, total, correction; begin and end; a tile of keys or values.
    return g.queries * (2 * size + g.tile + 3) * sum + g.queries * 2 * int64_t{sizeof(int)} +
           (g.tile * g.pitch * element + 15) / 16 * 16;
  };
  while (bytes() > kSharedBytes && g.tile > 8) g.tile /= 2;
  while (bytes() > kSharedBytes && g.heads_per_block > 1) {
    g.heads_per_block /= 2;
    g.queries = g.heads_per_block * call.tile_rows;
  }
  g.shared_bytes = bytes();
  return g;
}

__device__ inline float Element(const float* at) { return *at; }
__device__ inline float Element(const uint16_t* at) { return HalfBitsToFloat(*at); }
__device__ inline void Store(float value, float* to) { *to = value; }
__device__ inline void Store(float value, uint16_t* to) { *to = FloatToHalfBits(value); }

// First element of a position of a head.
__device__ inline int64_t OffsetOf(const KvLayout& layout, const DevicePlace& place, int head,
                                   int position) {
  return ((int64_t{layout.layer} * layout.kv_heads + head) * place.capacity + position) *
         layout.head_size;
}

template <typename E>
__global__ void AppendKernel(KvLayout layout, const float* k, const float* v,
                             const DevicePlace* places) {
  const DevicePlace place = places[blockIdx.x];
  const int cols = layout.kv_heads * layout.head_size;
  for (int i = threadIdx.x; i < cols; i += kThreads) {
    const int64_t to =
        OffsetOf(layout, place, i / layout.head_size, place.position) + i % layout.head_size;
    const int64_t from = int64_t{blockIdx.x} * cols + i;
    Store(k[from], static_cast<E*>(place.keys) + to);
    Store(v[from], static_cast<E*>(place.values) + to);
  }
}

// A block's working values, cut out of its shared memory.
template <typename S, typename E>
struct Work {
  S* q;              // [queries][K]
  S* sums;           // [queries][K]
  S* probabilities;  // [queries][tile]
  S* largest;        // [queries]
  S* totals;
  S* corrections;
  E* tile;     // [tile][pitch]
  int* begin;  // [queries] positions seen
  int* end;

  __device__ Work(unsigned char* shared, const Geometry& g, int size) {
    q = reinterpret_cast<S*>(shared);
    sums = q + g.queries * size;
    probabilities = sums + g.queries * size;
    largest = probabilities + g.queries * g.tile;
    totals = largest + g.queries;
    corrections = totals + g.queries;
    begin = reinterpret_cast<int*>(corrections + g.queries);
    end = begin + g.queries;
    tile = reinterpret_cast<E*>(end + g.queries);
  }
};

// The queries of a block: query i is head first_head + i % heads of row first_row + i / heads.
struct Queries {
  int first_row;
  int first_head;
  int heads;
  int count;
  __device__ int64_t Row(int i) const { return first_row + i / heads; }
  __device__ int Head(int i) const { return first_head + i % heads; }
};

// The first position that a row sees.
__device__ inline int FirstSeen(const AttentionCall& call, int position) {
  return call.window > 0 && position >= call.window ? position + 1 - call.window : 0;
}

template <typename S, typename E>
__device__ void LoadQueries(const AttentionCall& call, const Queries& queries, int from, int to,
                            const Work<S, E>& work) {
  const int size = call.layout.head_size;
  for (int i = threadIdx.x; i < queries.count * size; i += kThreads) {
    const int64_t head = queries.Row(i / size) * call.heads + queries.Head(i / size);
    work.q[i] = call.q[head * size + i % size];
    work.sums[i] = 0;
  }
  for (int i = threadIdx.x; i < queries.count; i += kThreads) {
    const int position = call.places[queries.Row(i)].position;
    const int first = FirstSeen(call, position);
    work.begin[i] = first > from ? first : from;
    work.end[i] = position + 1 < to ? position + 1 : to;
    work.largest[i] = -INFINITY;
    work.totals[i] = 0;
  }
}

// `count` positions of keys or values, one row of the tile each.
template <typename E>
__device__ void LoadTile(const E* from, int count, int size, int pitch, E* tile) {
  for (int i = threadIdx.x; i < count * size; i += kThreads) {
    tile[i / size * pitch + i % size] = from[i];
  }
}

// A warp a query, a lane a position: scores, the new largest, probabilities and their sum.
template <typename S, typename E>
__device__ void ScoreTile(const AttentionCall& call, const Geometry& g, const Queries& queries,
                          int base, const Work<S, E>& work) {
  const int size = call.layout.head_size;
  const int lane = threadIdx.x % kWarpSize;
  for (int i = threadIdx.x / kWarpSize; i < queries.count; i += kWarps) {
    const bool seen = lane < g.tile && base + lane >= work.begin[i] && base + lane < work.end[i];
    S score = -INFINITY;
    if (seen) {
      const S* const q = work.q + i * size;
      const E* const key = work.tile + lane * g.pitch;
      S dot = 0;
      for (int k = 0; k < size; ++k) dot = Fma(q[k], static_cast<S>(Element(key + k)), dot);
      score = dot * static_cast<S>(call.scale);
    }
    const S before = work.largest[i];
    const S largest = Larger(before, WarpMax(score));
    const S probability = seen ? Exp(score - largest) : 0;
    const S sum = WarpSum(probability);
    if (lane < g.tile) work.probabilities[i * g.tile + lane] = probability;
    if (lane == 0) {
      // Nothing seen so far: -inf - -inf would be a NaN.
      const S correction = before == largest ? 1 : Exp(before - largest);
      work.largest[i] = largest;
      work.totals[i] = Fma(work.totals[i], correction, sum);
      work.corrections[i] = correction;
    }
    __syncwarp();
  }
}

// A thread a dimension of a query: the values of the positions that the query sees.
template <typename S, typename E>
__device__ void AddValues(const AttentionCall& call, const Geometry& g, const Queries& queries,
                          int base, const Work<S, E>& work) {
  const int size = call.layout.head_size;
  for (int at = threadIdx.x; at < queries.count * size; at += kThreads) {
    const int i = at / size;
    const int first = work.begin[i] > base ? work.begin[i] - base : 0;
    const int last = work.end[i] - base < g.tile ? work.end[i] - base : g.tile;
    S sum = work.sums[at] * work.corrections[i];
    for (int p = first; p < last; ++p) {
      const S value = Element(work.tile + p * g.pitch + at % size);
      sum = Fma(work.probabilities[i * g.tile + p], value, sum);
    }
    work.sums[at] = sum;
  }
}

// Partial results: [row][head][split] of {largest, total, sums[K]}.
template <typename S>
__device__ S* PartialOf(const AttentionCall& call, int64_t row, int head, int split, int splits) {
  const int64_t index = (row * call.heads + head) * splits + split;
  return static_cast<S*>(call.partials) + index * (call.layout.head_size + 2);
}

// Grid: splits, heads of the cache x pieces of a group, tiles of rows.
template <typename S, typename E>
__global__ void AttentionKernel(AttentionCall call, Geometry g, int pieces) {
  PARITY_DYNAMIC_SHARED(shared);
  const KvLayout& layout = call.layout;
  const int size = layout.head_size;
  const Work<S, E> work(shared, g, size);
  const RowTile rows = call.tiles[blockIdx.z];
  const int group = call.heads / layout.kv_heads;
  const int kv_head = static_cast<int>(blockIdx.y) / pieces;
  const int skip = static_cast<int>(blockIdx.y) % pieces * g.heads_per_block;
  Queries queries;
  queries.first_row = rows.first;
  queries.first_head = kv_head * group + skip;
  queries.heads = group - skip < g.heads_per_block ? group - skip : g.heads_per_block;
  queries.count = rows.rows * queries.heads;

  const bool split = call.splits > 0;   // then a tile is one row
  const bool joined = call.splits > 1;  // a single split is the result
  const int first_split = FirstSeen(call, call.places[rows.first].position) / kSplitPositions;
  const int from = split ? (first_split + static_cast<int>(blockIdx.x)) * kSplitPositions : 0;
  const int to = split ? from + kSplitPositions : call.end_position;
  LoadQueries(call, queries, from, to, work);
  __syncthreads();
  int begin = to;
  int end = from;
  for (int i = 0; i < queries.count; ++i) {
    begin = work.begin[i] < begin ? work.begin[i] : begin;
    end = work.end[i] > end ? work.end[i] : end;
  }
  const DevicePlace& place = call.places[rows.first];
  const E* const keys = static_cast<const E*>(place.keys);
  const E* const values = static_cast<const E*>(place.values);
  for (int base = begin / g.tile * g.tile; base < end; base += g.tile) {
    const int count = end - base < g.tile ? end - base : g.tile;
    const int64_t offset = OffsetOf(layout, place, kv_head, base);
    LoadTile(keys + offset, count, size, g.pitch, work.tile);
    __syncthreads();
    ScoreTile(call, g, queries, base, work);
    __syncthreads();
    LoadTile(values + offset, count, size, g.pitch, work.tile);
    __syncthreads();
    AddValues(call, g, queries, base, work);
    __syncthreads();
  }
  for (int at = threadIdx.x; at < queries.count * size; at += kThreads) {
    const int i = at / size;
    if (joined) {
      S* const partial = PartialOf<S>(call, queries.Row(i), queries.Head(i), blockIdx.x, gridDim.x);
      partial[2 + at % size] = work.sums[at];
      if (at % size == 0) {
        partial[0] = work.largest[i];
        partial[1] = work.totals[i];
      }
    } else {
      const int64_t head = queries.Row(i) * call.heads + queries.Head(i);
      call.out[head * size + at % size] = static_cast<float>(work.sums[at] / work.totals[i]);
    }
  }
}

// Joins the splits of a head of a row, in rising order. Grid: rows, heads.
template <typename S>
__global__ void JoinKernel(AttentionCall call) {
  const int splits = call.splits;
  const int size = call.layout.head_size;
  const int64_t row = blockIdx.x;
  const int head = static_cast<int>(blockIdx.y);
  const S* const first = PartialOf<S>(call, row, head, 0, splits);
  S largest = -INFINITY;
  for (int s = 0; s < splits; ++s) largest = Larger(largest, first[s * (size + 2)]);
  for (int k = threadIdx.x; k < size; k += kThreads) {
    S total = 0;
    S sum = 0;
    for (int s = 0; s < splits; ++s) {
      const S* const partial = first + s * (size + 2);
      // A split in which the row sees nothing.
      if (partial[1] == 0) continue;
      const S factor = Exp(partial[0] - largest);
      total = Fma(partial[1], factor, total);
      sum = Fma(partial[2 + k], factor, sum);
    }
    call.out[(row * call.heads + head) * size + k] = static_cast<float>(sum / total);
  }
}

template <typename S, typename E>
void LaunchAttention(Stream& stream, const AttentionCall& call) {
  const Geometry g = GeometryOf(call);
  const int pieces = (GroupOf(call) + g.heads_per_block - 1) / g.heads_per_block;
  const dim3 grid(static_cast<unsigned>(call.splits > 0 ? call.splits : 1),
                  static_cast<unsigned>(call.layout.kv_heads * pieces),
                  static_cast<unsigned>(call.tile_count));
  Launch(stream, "Attention", AttentionKernel<S, E>, {grid, kThreads, g.shared_bytes}, call, g,
         pieces);
  if (call.splits <= 1) return;
  const dim3 heads(static_cast<unsigned>(call.rows), static_cast<unsigned>(call.heads));
  Launch(stream, "JoinAttention", JoinKernel<S>, {heads, kThreads}, call);
}

}  // namespace

void AppendRows(Stream& stream, const KvLayout& layout, const float* k, const float* v,
                const DevicePlace* places, int64_t rows) {
  Launch(stream, "AppendKv", layout.half ? AppendKernel<uint16_t> : AppendKernel<float>,
         {static_cast<unsigned>(rows), kThreads}, layout, k, v, places);
}

int32_t AttentionTileRows(const AttentionCall& call) {
  if (call.rows <= kMostSplitRows) return 1;
  const int32_t fitting = kMostTileValues / call.layout.head_size;
  const int32_t queries = fitting < kMostTileQueries ? fitting : kMostTileQueries;
  return queries > GroupOf(call) ? queries / GroupOf(call) : 1;
}

int32_t SplitsFor(int32_t end, int32_t window) {
  const int32_t seen = (end + kSplitPositions - 1) / kSplitPositions;
  int32_t splits = 1;
  while (splits < seen) splits *= 2;
  // A window that ends anywhere in a split.
  const int32_t most = window > 0 ? (window - 1) / kSplitPositions + 2 : splits;
  return most < splits ? most : splits;
}

int64_t PartialBytes(const AttentionCall& call) {
  const int64_t floats =
      int64_t{call.rows} * call.heads * call.splits * (call.layout.head_size + 2);
  return floats * static_cast<int64_t>(call.exact ? sizeof(double) : sizeof(float));
}

void Attend(Stream& stream, const AttentionCall& call) {
  if (call.layout.half) {
    call.exact ? LaunchAttention<double, uint16_t>(stream, call)
               : LaunchAttention<float, uint16_t>(stream, call);
  } else {
    call.exact ? LaunchAttention<double, float>(stream, call)
               : LaunchAttention<float, float>(stream, call);
  }
}

}  // namespace parity::kernels::cuda
