// The three steps of attention over virtual lanes. Textual header, see lanes.h; vector_ops.h says
// what each computes.
#ifndef PARITY_KERNELS_CPU_ATTENTION_LANES_H_
#define PARITY_KERNELS_CPU_ATTENTION_LANES_H_

#include "kernels/cpu/elementwise.h"
#include "kernels/cpu/exp.h"
#include "kernels/cpu/vector_ops.h"

namespace parity::kernels::PARITY_LANES {

// Queries that share one read of keys or values: 6 x 2 accumulators, 2 loads, 1 broadcast fit 16
// vector registers; a double takes two.
template <typename L>
constexpr int kQueries = sizeof(typename L::S) == 4 ? 6 : 2;

// Positions of one pass over the values: 128 x 64 halves are 16 KiB, six rows of probabilities 3
// KiB.
constexpr int64_t kStretch = 128;

constexpr int64_t kCacheLine = 64;  // bytes

// Asks for what `bytes` bytes at `offset` from `ahead` lie in; not for anything when that is null.
// Spread over the work: a core has two dozen requests under way at a time, and waits to send more.
template <typename E>
PARITY_INLINE void AskAhead(const E* ahead, int64_t offset, int64_t bytes) {
  if (ahead == nullptr) return;
  const char* const from = reinterpret_cast<const char*>(ahead) + offset;
  for (int64_t i = 0; i < bytes; i += kCacheLine) __builtin_prefetch(from + i);
}

// Unrolled whatever the optimisation level, so that the accumulators stay in registers.
#define PARITY_EACH_QUERY _Pragma("GCC unroll 8") for (int r = 0; r < Q; ++r)

template <typename L, typename E, int Q>
PARITY_INLINE void ScoreSome(const typename L::S* const* q, const E* keys, int64_t head_size,
                             int64_t blocks, typename L::S* const* out, const E* ahead) {
  using S = typename L::S;
  const S* query[Q];
  PARITY_EACH_QUERY query[r] = q[r];
  const int64_t block_bytes = head_size * kKeyBlock * static_cast<int64_t>(sizeof(E));
  for (int64_t b = 0; b < blocks; ++b) {
    AskAhead(ahead, b * block_bytes, block_bytes);
    typename L::V low[Q], high[Q];
    PARITY_EACH_QUERY low[r] = high[r] = Fill(S{0});
    for (int64_t k = 0; k < head_size; ++k, keys += kKeyBlock) {
      const auto key_low = L::Load(keys);
      const auto key_high = L::Load(keys + kLanes);
      PARITY_EACH_QUERY {
        const auto x = Fill(query[r][k]);
        low[r] = Fma(x, key_low, low[r]);
        high[r] = Fma(x, key_high, high[r]);
      }
    }
    PARITY_EACH_QUERY {
      L::Store(out[r] + b * kKeyBlock, low[r]);
      L::Store(out[r] + b * kKeyBlock + kLanes, high[r]);
    }
  }
}

template <typename L, typename E, int Q>
PARITY_INLINE void ValueSome(const typename L::S* const* p, const E* values, int64_t stride,
                             int64_t from, int64_t to, int64_t d, typename L::S* const* sums,
                             const E* ahead) {
  const typename L::S* weight[Q];
  typename L::V low[Q], high[Q];
  PARITY_EACH_QUERY {
    weight[r] = p[r];
    low[r] = L::Load(sums[r] + d);
    high[r] = L::Load(sums[r] + d + kLanes);
  }
  const E* value = values + from * stride + d;
  const int64_t row_bytes = stride * static_cast<int64_t>(sizeof(E));
  for (int64_t i = from; i < to; ++i, value += stride) {
    AskAhead(ahead, (i - from) * row_bytes, 1);
    const auto value_low = L::Load(value);
    const auto value_high = L::Load(value + kLanes);
    PARITY_EACH_QUERY {
      const auto x = Fill(weight[r][i]);
      low[r] = Fma(x, value_low, low[r]);
      high[r] = Fma(x, value_high, high[r]);
    }
  }
  PARITY_EACH_QUERY {
    L::Store(sums[r] + d, low[r]);
    L::Store(sums[r] + d + kLanes, high[r]);
  }
}

// a_i + a_j of each query over 16 positions, where a_i sums q[k] * key[k] over k = i, i + 32, i +
// 64
// ... in order, `steps` of them (kSteps when that is not 0).
template <typename L, typename E, int Q, int kSteps>
PARITY_INLINE void PairSums(const float* const (&query)[Q], const E* keys, int64_t steps, int i,
                            int j, F8 (&low)[Q], F8 (&high)[Q]) {
  F8 low_j[Q], high_j[Q];
  PARITY_EACH_QUERY low[r] = high[r] = low_j[r] = high_j[r] = Fill(0.0f);
  const int64_t count = kSteps != 0 ? kSteps : steps;
  _Pragma("GCC unroll 8") for (int64_t step = 0; step < count; ++step) {
    const bool first = kSteps != 0 && step == 0;  // a product needs no sum yet
    const int64_t k = 32 * step;
    F8 key_low = L::Load(keys + (k + i) * kKeyBlock);
    F8 key_high = L::Load(keys + (k + i) * kKeyBlock + kLanes);
    PARITY_EACH_QUERY {
      const F8 x = Fill(query[r][k + i]);
      low[r] = first ? x * key_low : Fma(x, key_low, low[r]);
      high[r] = first ? x * key_high : Fma(x, key_high, high[r]);
    }
    key_low = L::Load(keys + (k + j) * kKeyBlock);
    key_high = L::Load(keys + (k + j) * kKeyBlock + kLanes);
    PARITY_EACH_QUERY {
      const F8 x = Fill(query[r][k + j]);
      low_j[r] = first ? x * key_low : Fma(x, key_low, low_j[r]);
      high_j[r] = first ? x * key_high : Fma(x, key_high, high_j[r]);
    }
  }
  PARITY_EACH_QUERY {
    low[r] = low[r] + low_j[r];
    high[r] = high[r] + high_j[r];
  }
}

// ScoreSome in the order of ggml_vec_dot_f16 (ggml-cpu/vec.cpp, AVX2 with F16C: steps of 32 values,
// four accumulators of eight lanes and GGML_F32x8_REDUCE; what 32 does not divide, in double): the
// same bits as llama.cpp's decode, so that a probability is rounded to half on the same side.
template <typename L, typename E, int Q, int kSteps>
PARITY_INLINE void ScoreAsGgml(const float* const* q, const E* keys, int64_t head_size,
                               int64_t blocks, float* const* out, const E* ahead) {
  const float* query[Q];
  PARITY_EACH_QUERY query[r] = q[r];
  const int64_t steps = head_size / 32;
  const int64_t lane_bytes = head_size * kKeyBlock * static_cast<int64_t>(sizeof(E)) / 8;
  for (int64_t b = 0; b < blocks; ++b, keys += head_size * kKeyBlock) {
    F8 lanes[8][2][Q];  // ggml's eight lanes after its accumulators have met
    for (int lane = 0; lane < 8; ++lane) {
      AskAhead(ahead, (8 * b + lane) * lane_bytes, lane_bytes);
      F8 low[Q], high[Q];
      PairSums<L, E, Q, kSteps>(query, keys, steps, lane, lane + 16, lanes[lane][0],
                                lanes[lane][1]);
      PairSums<L, E, Q, kSteps>(query, keys, steps, lane + 8, lane + 24, low, high);
      PARITY_EACH_QUERY {
        lanes[lane][0][r] = lanes[lane][0][r] + low[r];
        lanes[lane][1][r] = lanes[lane][1][r] + high[r];
      }
    }
    for (int half = 0; half < 2; ++half) {
      PARITY_EACH_QUERY {
        F8 t[4];
        for (int l = 0; l < 4; ++l) t[l] = lanes[l][half][r] + lanes[l + 4][half][r];
        F8 score = (t[0] + t[1]) + (t[2] + t[3]);
        if (32 * steps < head_size) {
          D8 sum = Widen(score);
          for (int64_t k = 32 * steps; k < head_size; ++k) {
            const F8 key = L::Load(keys + k * kKeyBlock + half * kLanes);
            sum = sum + Widen(Fill(query[r][k]) * key);
          }
          score = Narrow(sum);
        }
        L::Store(out[r] + b * kKeyBlock + half * kLanes, score);
      }
    }
  }
}

#undef PARITY_EACH_QUERY

// Calls body.template operator()<n>(first query) for groups of kMost, and once for what is left.
template <int kMost, typename Body>
PARITY_INLINE void ForQueries(int64_t queries, Body body) {
  int64_t r = 0;
  for (; r + kMost <= queries; r += kMost) body.template operator()<kMost>(r);
  const int64_t rest = queries - r;
  if (rest == 1) body.template operator()<1>(r);
  if constexpr (kMost > 2) {
    if (rest == 2) body.template operator()<2>(r);
  }
  if constexpr (kMost > 3) {
    if (rest == 3) body.template operator()<3>(r);
    if (rest == 4) body.template operator()<4>(r);
    if (rest == 5) body.template operator()<5>(r);
  }
}

template <typename L, typename E>
static void Scores(const typename L::S* const* q, int64_t queries, const E* keys, int64_t head_size,
                   int64_t blocks, typename L::S* const* out, const E* ahead) {
  if constexpr (sizeof(typename L::S) == sizeof(float)) {
    // 3 x 4 accumulators, 2 loads, 1 broadcast.
    const auto score = [&]<int kSteps>() {
      ForQueries<3>(queries, [&]<int Q>(int64_t r) {
        ScoreAsGgml<L, E, Q, kSteps>(q + r, keys, head_size, blocks, out + r,
                                     r == 0 ? ahead : nullptr);
      });
    };
    // The usual head sizes have their steps unrolled.
    head_size == 64    ? score.template operator()<2>()
    : head_size == 128 ? score.template operator()<4>()
    : head_size == 256 ? score.template operator()<8>()
                       : score.template operator()<0>();
  } else {
    ForQueries<kQueries<L>>(queries, [&]<int Q>(int64_t r) {
      ScoreSome<L, E, Q>(q + r, keys, head_size, blocks, out + r, r == 0 ? ahead : nullptr);
    });
  }
}

template <typename L, typename E>
static void Values(const typename L::S* const* p, int64_t queries, const E* values, int64_t stride,
                   int64_t from, int64_t to, int64_t first, int64_t last,
                   typename L::S* const* sums, const E* ahead) {
  // By stretches of positions whose values and probabilities stay in the first-level cache.
  for (int64_t i = from; i < to; i += kStretch) {
    const int64_t end = i + kStretch < to ? i + kStretch : to;
    for (int64_t d = first; d < last; d += kValueStep) {
      // Each line once: by the first dimensions in it, for the first queries.
      const bool begins_line = d * static_cast<int64_t>(sizeof(E)) % kCacheLine == 0;
      const E* const here =
          ahead == nullptr || !begins_line ? nullptr : ahead + (i - from) * stride + d;
      ForQueries<kQueries<L>>(queries, [&]<int Q>(int64_t r) {
        ValueSome<L, E, Q>(p + r, values, stride, i, end, d, sums + r, r == 0 ? here : nullptr);
      });
    }
  }
}

template <typename L>
static void Softmax(typename L::S* s, int64_t begin, int64_t end, typename L::S scale,
                    bool round_to_half) {
  using S = typename L::S;
  const int64_t first = begin / kLanes * kLanes;
  const int64_t last = (end + kLanes - 1) / kLanes * kLanes;
  constexpr S kNothing = -static_cast<S>(__builtin_inf());
  for (int64_t i = first; i < last; i += kLanes) L::Store(s + i, L::Load(s + i) * Fill(scale));
  for (int64_t i = first; i < begin; ++i) s[i] = kNothing;
  for (int64_t i = end; i < last; ++i) s[i] = kNothing;
  auto most = Fill(kNothing);
  for (int64_t i = first; i < last; i += kLanes) most = Max(L::Load(s + i), most);
  S lanes[kLanes];
  L::Store(lanes, most);
  S max = lanes[0];
  for (int i = 1; i < kLanes; ++i) max = lanes[i] > max ? lanes[i] : max;
  double sum = 0;
  for (int64_t i = first; i < last; i += kLanes) {
    const auto e = Exp(L::Load(s + i) - Fill(max));
    L::Store(s + i, e);
    sum += Sum(e);
  }
  const auto inverse = Fill(static_cast<S>(1.0 / sum));
  for (int64_t i = first; i < last; i += kLanes) {
    auto p = L::Load(s + i) * inverse;
    if constexpr (sizeof(S) == sizeof(float)) {
      if (round_to_half) p = ThroughHalf(p);
    }
    L::Store(s + i, p);
  }
}

template <typename L, typename E>
constexpr AttentionOps<typename L::S, E> kAttentionOps = {&Scores<L, E>, &Softmax<L>,
                                                          &Values<L, E>};

}  // namespace parity::kernels::PARITY_LANES

#endif  // PARITY_KERNELS_CPU_ATTENTION_LANES_H_
