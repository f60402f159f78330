// The two scans that TopOf() makes of a row, block by block, over sixteen lanes.
//
// Textual header: top_k.cc includes it once for each set of instructions, inside its unnamed
// namespace, with PARITY_SCANS as the namespace of that set; so it has no guard.

namespace PARITY_SCANS {

// The compiler's own vectors: it leaves a loop over an array of lanes scalar, and a scalar exp
// would cost a small model several per cent of its decode time.
constexpr size_t kWidth = 8;
constexpr size_t kVectors = kLanes / kWidth;
using Floats = float __attribute__((vector_size(kWidth * sizeof(float))));
using Ints = int32_t __attribute__((vector_size(kWidth * sizeof(int32_t))));

// Calls body(v, values) for the vectors of a block, v = 0, 1, 0, 1, ...; what the last of them lack
// is -infinity.
template <typename Body>
inline void ForVectors(absl::Span<const float> block, Body body) {
  float rest[kLanes];
  for (size_t i = 0; i < block.size(); i += kLanes) {
    const float* from = block.data() + i;
    if (i + kLanes > block.size()) {
      std::fill(std::copy(block.begin() + i, block.end(), rest), rest + kLanes, -kInfinity);
      from = rest;
    }
    for (size_t v = 0; v < kVectors; ++v) {
      Floats values;  // one at a time: the compiler copies more of them by way of memory
      std::memcpy(&values, from + v * kWidth, sizeof(values));
      body(v, values);
    }
  }
}

// lanes += exp(value), value <= 0; below -87 what -87 adds: 1e-38. Relative error < 3e-7: degree-6
// Taylor on |r| <= ln2/2 leaves 0.35^7/5040 = 1.3e-7, the rest is rounding.
inline void AddExp(const Floats& value, Floats& lanes) {
  const Floats least = Floats{} - 87.0f;
  const Floats x = value < least ? least : value;
  constexpr float kRound = 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer
  const Floats n = (x * 1.44269504f + kRound) - kRound;
  const Floats r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
  Floats p = Floats{} + 1.0f / 720;
  p = p * r + 1.0f / 120;
  p = p * r + 1.0f / 24;
  p = p * r + 1.0f / 6;
  p = p * r + 0.5f;
  p = p * r + 1.0f;
  p = p * r + 1.0f;
  const Ints bits = (__builtin_convertvector(n, Ints) + 127) << 23;
  Floats scale;
  std::memcpy(&scale, &bits, sizeof(scale));
  lanes += p * scale;
}

// Sum of exp(x - max) over a block: 16 lanes of at most 64 terms in float, these in double.
inline double SumOfExp(absl::Span<const float> block, float max) {
  Floats lanes[kVectors] = {};
  ForVectors(block, [&](size_t v, const Floats& values) { AddExp(values - max, lanes[v]); });
  double sum = 0;
  for (size_t lane = 0; lane < kLanes; ++lane) sum += lanes[lane / kWidth][lane % kWidth];
  return sum;
}

// The largest value of a block, -infinity where there is none. `nan` becomes true where one is.
inline float Largest(absl::Span<const float> block, bool& nan) {
  Floats max[kVectors];
  Ints nans[kVectors] = {};
  for (Floats& m : max) m = Floats{} - kInfinity;
  ForVectors(block, [&](size_t v, const Floats& values) {
    max[v] = values > max[v] ? values : max[v];
    nans[v] |= values != values;
  });
  float most = -kInfinity;
  for (size_t lane = 0; lane < kLanes; ++lane) {
    most = std::max(most, max[lane / kWidth][lane % kWidth]);
    nan |= nans[lane / kWidth][lane % kWidth] != 0;
  }
  return most;
}

}  // namespace PARITY_SCANS
