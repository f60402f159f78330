#include <glog/logging.h>

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "kernels/conformance/cases.h"
#include "kernels/conformance/fixtures.h"
#include "kernels/reference/reference_backend.h"

namespace parity::kernels::conformance {
namespace {

struct Shape {
  int32_t heads;
  int32_t kv_heads;
  int32_t head_size;
  int32_t window;
  int32_t first;      // positions stored before the rows of the test
  int32_t rows;       // T
  int32_t sequences;  // rows go to these in turn
};

// Groups of 1 to 8 heads, head sizes off every vector width, windows, histories across blocks,
// batches of sequences, and a row long enough to be split over threads.
constexpr Shape kShapes[] = {
    {1, 1, 4, 0, 0, 1, 1},    {4, 4, 16, 0, 0, 5, 1},   {9, 3, 64, 0, 13, 9, 1},
    {6, 2, 40, 0, 31, 4, 1},  {8, 1, 128, 0, 3, 3, 1},  {3, 1, 5, 0, 15, 20, 1},
    {4, 2, 32, 5, 0, 23, 1},  {2, 2, 64, 17, 70, 8, 1}, {9, 3, 64, 0, 300, 1, 1},
    {7, 7, 24, 0, 290, 3, 1}, {4, 2, 16, 0, 20, 12, 3}, {10, 2, 20, 0, 260, 2, 2},
};

struct Problem {
  Shape shape;
  KvType type;
  std::vector<float> q, k, v;  // k, v: [first + rows] per sequence, one after the other

  int32_t positions() const { return shape.first + shape.rows; }
};

// Appends [from, to) of sequence s.
void Append(const Problem& p, Backend& backend, const DeviceMatrix& k, const DeviceMatrix& v,
            KvCache* cache, int32_t s, int32_t from, int32_t to) {
  std::vector<RowPlace> places;
  for (int32_t i = from; i < to; ++i) places.push_back({cache, i});
  const int64_t first = int64_t{s} * p.positions() + from;
  backend.AppendKv(1, k.rows(first, to - from), v.rows(first, to - from), places);
}

// Row t belongs to sequence t mod sequences and has position first + t / sequences there.
std::vector<float> RunAttention(const Problem& p, Backend& backend, int64_t at_once) {
  const Shape& shape = p.shape;
  const int64_t sequences = shape.sequences;
  const DeviceMatrix q(backend, p.q, shape.rows);
  const DeviceMatrix k(backend, p.k, sequences * p.positions());
  const DeviceMatrix v(backend, p.v, sequences * p.positions());
  const DeviceMatrix out(backend, shape.rows, q.all().cols);
  std::vector<std::unique_ptr<KvCache>> caches;
  for (int32_t s = 0; s < sequences; ++s) {
    auto cache = backend.NewKvCache({3, shape.kv_heads, shape.head_size, p.positions(), p.type});
    CHECK(cache.ok()) << cache.status();
    caches.push_back(*std::move(cache));
    if (shape.first > 0) Append(p, backend, k, v, caches.back().get(), s, 0, shape.first);
  }
  const AttentionSpec spec = {1,
                              shape.heads,
                              shape.kv_heads,
                              shape.head_size,
                              1.0f / std::sqrt(static_cast<float>(shape.head_size)),
                              shape.window};
  for (int64_t t = 0; t < shape.rows; t += at_once) {
    const int64_t n = std::min<int64_t>(at_once, shape.rows - t);
    std::vector<RowPlace> places;
    for (int64_t i = t; i < t + n; ++i) {
      const int32_t s = i % sequences;
      const int32_t position = shape.first + i / sequences;
      Append(p, backend, k, v, caches[s].get(), s, position, position + 1);
      places.push_back({caches[s].get(), position});
    }
    backend.Attention(spec, q.rows(t, n), places, out.rows(t, n));
  }
  return out.Read();
}

// out = sum p v. Scores are off by (sqrt(K) + 2) units of |q.k| <= |q||k| scale (at most ~2 here),
// so each p by that and 4 units of its exp and products; the sum over n positions adds sqrt(n)
// units: all relative to sum p |v|. A probability rounded to half may also land on the other side:
// 2^-11 of it (a card keeps it in float). f32: double throughout, one rounding on either side.
std::vector<double> AttentionBounds(const Problem& p, Arithmetic arithmetic,
                                    const std::vector<float>& expected) {
  Problem magnitudes = p;
  for (float& v : magnitudes.v) v = std::fabs(v);
  const Numerics numerics = arithmetic == Arithmetic::kNative ? Numerics::kNative : Numerics::kF32;
  const std::vector<float> sums =
      RunAttention(magnitudes, *CreateReferenceBackend(numerics), p.shape.rows);
  double unit = 4 * kUnit * 0x1p-8;
  if (IsNative(arithmetic)) {
    const double scores = 2 * (std::sqrt(p.shape.head_size) + 2);
    unit = 2 * (scores + 4 + std::sqrt(p.positions())) * kUnit;
    if (p.type == KvType::kF16 && arithmetic == Arithmetic::kNative) unit += 0x1p-11;
  }
  std::vector<double> bounds;
  for (size_t i = 0; i < sums.size(); ++i) {
    bounds.push_back(unit * sums[i] + 2 * kUnit * std::fabs(expected[i]));
  }
  return bounds;
}

Case AttentionCase(const Shape& shape, KvType type, uint32_t seed) {
  Problem p = {shape, type, {}, {}, {}};
  const int64_t kv = int64_t{shape.sequences} * p.positions() * shape.kv_heads * shape.head_size;
  p.q = RandomFloats(int64_t{shape.rows} * shape.heads * shape.head_size, seed, 2.0f);
  p.k = RandomFloats(kv, seed + 1, 2.0f);
  p.v = RandomFloats(kv, seed + 2);
  return {absl::StrCat("Attention_", type == KvType::kF16 ? "F16" : "F32", "_H", shape.heads, "_G",
                       shape.kv_heads, "_K", shape.head_size, "_W", shape.window, "_P", shape.first,
                       "_T", shape.rows, "_S", shape.sequences),
          shape.rows,
          [p](Backend& backend, int64_t at_once) { return RunAttention(p, backend, at_once); },
          [p](Arithmetic arithmetic, const std::vector<float>& expected) {
            return AttentionBounds(p, arithmetic, expected);
          },
          // One probability in a few hundred lands on the other side of a half: 2^-22 of its share,
          // squared.
          type == KvType::kF16 ? 1e-7 : 1e-10};
}

}  // namespace

std::vector<Case> AttentionCases() {
  std::vector<Case> cases;
  uint32_t seed = 5000;
  for (const Shape& shape : kShapes) {
    for (KvType type : {KvType::kF16, KvType::kF32}) {
      cases.push_back(AttentionCase(shape, type, seed += 3));
    }
  }
  return cases;
}

}  // namespace parity::kernels::conformance
