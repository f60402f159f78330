#include "kernels/cpu/attention.h"

#include <glog/logging.h>

#include <algorithm>
#include <utility>

#include "absl/container/inlined_vector.h"
#include "kernels/cpu/kv_cache.h"
#include "kernels/cpu/rounding.h"

namespace parity::kernels {
namespace {

// Queries a tile aims at: what one pass over keys or values serves (attention_lanes.h).
constexpr int64_t kTileQueries = 6;
// A single row over fewer positions is not worth three rounds of the pool (~2 us each).
constexpr int64_t kSplitPositions = 256;
// Key blocks of one piece of a split row: 128 positions.
constexpr int64_t kBlocksPerPiece = 8;

// Consecutive rows of one sequence.
struct Tile {
  int64_t first_row;
  int64_t rows;
  const CpuKvCache* cache;
};

std::vector<Tile> MakeTiles(absl::Span<const RowPlace> places, int64_t rows_per_tile) {
  std::vector<Tile> tiles;
  for (int64_t t = 0; t < static_cast<int64_t>(places.size()); ++t) {
    const auto* cache = static_cast<const CpuKvCache*>(places[t].cache);
    if (tiles.empty() || tiles.back().cache != cache || tiles.back().rows == rows_per_tile) {
      tiles.push_back({t, 0, cache});
    }
    ++tiles.back().rows;
  }
  return tiles;
}

// A key/value head of a tile.
struct Task {
  const Tile& tile;
  int64_t head;
};

// One query head of one row, and where its working values lie.
template <typename S>
struct Query {
  int64_t begin;  // first position seen
  int64_t end;    // one past the last
  S* q;           // [K]
  S* scores;      // [positions, padded]
  S* sums;        // [value stride]
  float* out;     // [K]
};

template <typename S, typename E>
class Attender {
 public:
  Attender(const AttentionSpec& spec, const AttentionOps<S, E>& ops, const VectorOps& vector_ops,
           Matrix q, absl::Span<const RowPlace> places, Matrix out)
      : spec_(spec),
        ops_(ops),
        through_halves_(vector_ops.through_halves),
        q_(q),
        places_(places),
        out_(out),
        group_(spec.heads / spec.kv_heads) {}

  void Run(ThreadPool& pool, AttentionScratch& scratch) {
    const std::vector<Tile> tiles = MakeTiles(places_, std::max<int64_t>(1, kTileQueries / group_));
    const int64_t tasks = static_cast<int64_t>(tiles.size()) * spec_.kv_heads;
    if (places_.size() == 1 && pool.threads() > 1 && places_[0].position >= kSplitPositions) {
      Split(tiles[0], pool, scratch[0]);
      return;
    }
    const auto at = [&](int64_t task) {
      return Task{tiles[task / spec_.kv_heads], task % spec_.kv_heads};
    };
    pool.Run(tasks, [&](int64_t begin, int64_t end, int thread) {
      for (int64_t task = begin; task < end; ++task) {
        Whole(at(task), at(std::min(task + 1, tasks - 1)), scratch[thread]);
      }
    });
  }

 private:
  // Halves are rounded to only where llama.cpp does: native numerics against an F16 cache.
  static constexpr bool kRounds = sizeof(S) == sizeof(float) && sizeof(E) == sizeof(uint16_t);

  // A tile's queries without a call to the allocator, but for uncommon groups.
  static constexpr size_t kInline = 9;
  using Queries = absl::InlinedVector<Query<S>, kInline>;

  // Positions [first, second) that a row sees.
  std::pair<int64_t, int64_t> Seen(int64_t row) const {
    const int64_t end = int64_t{places_[row].position} + 1;
    return {spec_.window > 0 ? std::max<int64_t>(0, end - spec_.window) : 0, end};
  }

  // Sets up the queries of a tile's heads [first_head, first_head + heads).
  Queries Prepare(const Tile& tile, int64_t first_head, int64_t heads,
                  std::vector<double>& scratch) {
    const int64_t size = spec_.head_size;
    const int64_t stride = tile.cache->value_stride();
    const int64_t positions = places_[tile.first_row + tile.rows - 1].position + 1;
    int64_t most = positions;
    for (int64_t r = 0; r < tile.rows; ++r) {
      most = std::max<int64_t>(most, places_[tile.first_row + r].position + 1);
    }
    const int64_t padded = RoundUp(most, kKeyBlock);
    const int64_t each = RoundUp(size, kKeyBlock) + padded + stride;
    const int64_t needed = each * tile.rows * heads;
    if (static_cast<int64_t>(scratch.size()) < needed) scratch.resize(needed);
    S* memory = reinterpret_cast<S*>(scratch.data());
    Queries queries;
    for (int64_t r = 0; r < tile.rows; ++r) {
      const int64_t row = tile.first_row + r;
      const auto [begin, end] = Seen(row);
      for (int64_t h = first_head; h < first_head + heads; ++h, memory += each) {
        const int64_t offset = row * q_.cols + h * size;
        Query<S> query = {begin,
                          end,
                          memory,
                          memory + each - padded - stride,
                          memory + each - stride,
                          out_.data + offset};
        LoadQuery(q_.data + offset, query.q);
        std::fill_n(query.sums, stride, S{0});
        queries.push_back(query);
      }
    }
    return queries;
  }

  void LoadQuery(const float* from, S* to) {
    if constexpr (kRounds) {
      through_halves_(from, spec_.head_size, to);
    } else {
      for (int64_t k = 0; k < spec_.head_size; ++k) to[k] = from[k];
    }
  }

  void Score(absl::Span<const Query<S>> queries, const CpuKvCache& cache, int64_t head,
             int64_t first_block, int64_t last_block, const E* ahead) {
    absl::InlinedVector<const S*, kInline> q;
    absl::InlinedVector<S*, kInline> out;
    for (const Query<S>& query : queries) {
      q.push_back(query.q);
      out.push_back(query.scores + first_block * kKeyBlock);
    }
    ops_.scores(q.data(), q.size(),
                cache.keys<E>(spec_.layer, head) + first_block * kKeyBlock * spec_.head_size,
                spec_.head_size, last_block - first_block, out.data(), ahead);
  }

  // Adds p.v over dimensions [first, last). Each query's positions are taken in order; those that
  // all queries see are read once for all.
  void Sum(absl::Span<const Query<S>> queries, const CpuKvCache& cache, int64_t head, int64_t first,
           int64_t last, const E* ahead) {
    absl::InlinedVector<const S*, kInline> p;
    absl::InlinedVector<S*, kInline> sums;
    int64_t low = 0;
    int64_t high = queries[0].end;
    for (const Query<S>& query : queries) {
      p.push_back(query.scores);
      sums.push_back(query.sums);
      low = std::max(low, query.begin);
      high = std::min(high, query.end);
    }
    const E* values = cache.values<E>(spec_.layer, head);
    const int64_t stride = cache.value_stride();
    const auto alone = [&](int64_t i, int64_t from, int64_t to) {
      if (from >= to) return;
      ops_.values(&p[i], 1, values, stride, from, to, first, last, &sums[i], nullptr);
    };
    const int64_t count = static_cast<int64_t>(queries.size());
    if (low >= high) {
      for (int64_t i = 0; i < count; ++i) alone(i, queries[i].begin, queries[i].end);
      return;
    }
    for (int64_t i = 0; i < count; ++i) alone(i, queries[i].begin, low);
    ops_.values(p.data(), count, values, stride, low, high, first, last, sums.data(), ahead);
    for (int64_t i = 0; i < count; ++i) alone(i, high, queries[i].end);
  }

  void Softmax(const Query<S>& query) {
    ops_.softmax(query.scores, query.begin, query.end, static_cast<S>(spec_.scale), kRounds);
  }

  void Finish(const Query<S>& query) { std::copy_n(query.sums, spec_.head_size, query.out); }

  // The key blocks that any of the queries sees.
  static std::pair<int64_t, int64_t> Blocks(absl::Span<const Query<S>> queries) {
    int64_t begin = queries[0].begin;
    int64_t end = queries[0].end;
    for (const Query<S>& query : queries) {
      begin = std::min(begin, query.begin);
      end = std::max(end, query.end);
    }
    return {begin / kKeyBlock, DivideUp(end, kKeyBlock)};
  }

  // The first key that a task reads, and the first value.
  const E* Keys(const Task& task) const {
    const int64_t first = Seen(task.tile.first_row).first / kKeyBlock * kKeyBlock;
    return task.tile.cache->template keys<E>(spec_.layer, task.head) + first * spec_.head_size;
  }
  const E* Values(const Task& task) const {
    return task.tile.cache->template values<E>(spec_.layer, task.head) +
           Seen(task.tile.first_row).first * task.tile.cache->value_stride();
  }

  // All of one task, on one thread. Few positions are no stream that the hardware would see coming,
  // and the weights drive them out of the caches with every token: each read asks for what the next
  // one wants, this task's values and the keys of the `next`.
  void Whole(const Task& task, const Task& next, std::vector<double>& scratch) {
    const auto& [tile, head] = task;
    const Queries queries = Prepare(tile, head * group_, group_, scratch);
    const auto [first, last] = Blocks(queries);
    Score(queries, *tile.cache, head, first, last, Values(task));
    for (const Query<S>& query : queries) Softmax(query);
    Sum(queries, *tile.cache, head, 0, tile.cache->value_stride(), Keys(next));
    for (const Query<S>& query : queries) Finish(query);
  }

  // One row over many positions: scores by pieces of positions, softmax by heads, sums by pieces of
  // dimensions.
  void Split(const Tile& tile, ThreadPool& pool, std::vector<double>& scratch) {
    const Queries all = Prepare(tile, 0, spec_.heads, scratch);
    const auto queries = absl::MakeConstSpan(all);
    const auto [first, last] = Blocks(queries);
    const int64_t pieces = DivideUp(last - first, kBlocksPerPiece);
    const int64_t from = first, to = last;
    pool.Run(pieces * spec_.kv_heads, [&](int64_t begin, int64_t end, int) {
      for (int64_t i = begin; i < end; ++i) {
        const int64_t head = i / pieces;
        const int64_t block = from + i % pieces * kBlocksPerPiece;
        Score(queries.subspan(head * group_, group_), *tile.cache, head, block,
              std::min(block + kBlocksPerPiece, to), nullptr);
      }
    });
    pool.Run(spec_.heads, [&](int64_t begin, int64_t end, int) {
      for (int64_t h = begin; h < end; ++h) Softmax(queries[h]);
    });
    const int64_t steps = tile.cache->value_stride() / kValueStep;
    pool.Run(steps * spec_.kv_heads, [&](int64_t begin, int64_t end, int) {
      for (int64_t i = begin; i < end; ++i) {
        const int64_t head = i / steps;
        const int64_t d = i % steps * kValueStep;
        Sum(queries.subspan(head * group_, group_), *tile.cache, head, d, d + kValueStep, nullptr);
      }
    });
    for (const Query<S>& query : queries) Finish(query);
  }

  const AttentionSpec& spec_;
  const AttentionOps<S, E>& ops_;
  void (*through_halves_)(const float*, int64_t, float*);
  Matrix q_;
  absl::Span<const RowPlace> places_;
  Matrix out_;
  int64_t group_;  // query heads of a key/value head
};

}  // namespace

void Attend(const AttentionSpec& spec, Numerics numerics, const VectorOps& ops, Matrix q,
            absl::Span<const RowPlace> places, Matrix out, ThreadPool& pool,
            AttentionScratch& scratch) {
  if (places.empty()) return;
  const auto run = [&](const auto& attention) {
    Attender(spec, attention, ops, q, places, out).Run(pool, scratch);
  };
  const bool halves = static_cast<const CpuKvCache*>(places[0].cache)->shape().type == KvType::kF16;
  if (numerics == Numerics::kNative) {
    halves ? run(ops.native_f16) : run(ops.native_f32);
  } else {
    halves ? run(ops.double_f16) : run(ops.double_f32);
  }
}

}  // namespace parity::kernels
