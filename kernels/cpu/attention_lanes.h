// The three steps of attention over virtual lanes. Textual header, see lanes.h; vector_ops.h says
// what each computes.
#ifndef PARITY_KERNELS_CPU_ATTENTION_LANES_H_
#define PARITY_KERNELS_CPU_ATTENTION_LANES_H_

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

// Unrolled whatever the optimisation level, so that the accumulators stay in registers.
#define PARITY_EACH_QUERY _Pragma("GCC unroll 8") for (int r = 0; r < Q; ++r)

template <typename L, typename E, int Q>
PARITY_INLINE void ScoreSome(const typename L::S* const* q, const E* keys, int64_t head_size,
                             int64_t blocks, typename L::S* const* out) {
  using S = typename L::S;
  const S* query[Q];
  PARITY_EACH_QUERY query[r] = q[r];
  for (int64_t b = 0; b < blocks; ++b) {
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
                             int64_t from, int64_t to, int64_t d, typename L::S* const* sums) {
  const typename L::S* weight[Q];
  typename L::V low[Q], high[Q];
  PARITY_EACH_QUERY {
    weight[r] = p[r];
    low[r] = L::Load(sums[r] + d);
    high[r] = L::Load(sums[r] + d + kLanes);
  }
  const E* value = values + from * stride + d;
  for (int64_t i = from; i < to; ++i, value += stride) {
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

#undef PARITY_EACH_QUERY

// Calls body.template operator()<n>(first query) for groups of kQueries, and once for what is left.
template <typename L, typename Body>
PARITY_INLINE void ForQueries(int64_t queries, Body body) {
  constexpr int kMost = kQueries<L>;
  int64_t r = 0;
  for (; r + kMost <= queries; r += kMost) body.template operator()<kMost>(r);
  const int64_t rest = queries - r;
  if (rest == 1) body.template operator()<1>(r);
  if constexpr (kMost > 2) {
    if (rest == 2) body.template operator()<2>(r);
    if (rest == 3) body.template operator()<3>(r);
    if (rest == 4) body.template operator()<4>(r);
    if (rest == 5) body.template operator()<5>(r);
  }
}

template <typename L, typename E>
static void Scores(const typename L::S* const* q, int64_t queries, const E* keys, int64_t head_size,
                   int64_t blocks, typename L::S* const* out) {
  ForQueries<L>(queries, [&]<int Q>(int64_t r) {
    ScoreSome<L, E, Q>(q + r, keys, head_size, blocks, out + r);
  });
}

template <typename L, typename E>
static void Values(const typename L::S* const* p, int64_t queries, const E* values, int64_t stride,
                   int64_t from, int64_t to, int64_t first, int64_t last,
                   typename L::S* const* sums) {
  // By stretches of positions whose values and probabilities stay in the first-level cache.
  for (int64_t i = from; i < to; i += kStretch) {
    const int64_t end = i + kStretch < to ? i + kStretch : to;
    for (int64_t d = first; d < last; d += kValueStep) {
      ForQueries<L>(queries, [&]<int Q>(int64_t r) {
        ValueSome<L, E, Q>(p + r, values, stride, i, end, d, sums + r);
      });
    }
  }
}

PARITY_INLINE F8 ThroughHalf(F8 v) {
  uint16_t halves[kLanes];
  StoreHalves(halves, v);
  return LoadFloats(halves);
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
  D8 sum = Fill(0.0);
  for (int64_t i = first; i < last; i += kLanes) {
    const auto e = Exp(L::Load(s + i) - Fill(max));
    L::Store(s + i, e);
    sum = sum + L::Doubles(e);
  }
  const auto inverse = Fill(static_cast<S>(1.0 / Sum(sum)));
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
