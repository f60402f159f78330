#include <glog/logging.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "absl/strings/str_cat.h"
#include "kernels/conformance/cases.h"
#include "kernels/conformance/fixtures.h"

namespace parity::kernels::conformance {
namespace {

using Bounds = std::vector<double>;
using Values = std::vector<float>;

std::unique_ptr<Vector> Load(Backend& backend, const Values& values) {
  auto vector = backend.LoadVector(values);
  CHECK(vector.ok()) << vector.status();
  return *std::move(vector);
}

Bounds Exact(Arithmetic, const Values& expected) { return Bounds(expected.size(), 0.0); }

// Calls op(first row, rows) for pieces of at most at_once rows.
template <typename Op>
void ByPieces(int64_t rows, int64_t at_once, Op op) {
  for (int64_t t = 0; t < rows; t += at_once) op(t, std::min(at_once, rows - t));
}

Case RmsNormCase(int64_t rows, int64_t groups, int64_t size, uint32_t seed) {
  const Values x = RandomFloats(rows * groups * size, seed, 5.0f);
  const Values w = RandomFloats(size, seed + 1, 2.0f);
  return {absl::StrCat("RmsNorm_", rows, "x", groups, "x", size), rows,
          [=](Backend& backend, int64_t at_once) {
            const auto weight = Load(backend, w);
            const DeviceMatrix m(backend, x, rows);
            const DeviceMatrix out(backend, rows, groups * size);
            ByPieces(rows, at_once, [&](int64_t t, int64_t n) {
              backend.RmsNorm(m.rows(t, n), *weight, 1e-5f, out.rows(t, n));
            });
            return out.Read();
          },
          // native: squares, mean, eps, each halved by the root; root, quotient, two products. f32:
          // a rounding each side.
          [](Arithmetic arithmetic, const Values& expected) {
            Bounds bounds;
            const double units = IsNative(arithmetic) ? 7 : 2;
            for (float e : expected) bounds.push_back(units * kUnit * std::fabs(e));
            return bounds;
          }};
}

// The sum beside the norm of it: the sum is exact, the rest as above.
Case AddRmsNormCase(int64_t rows, int64_t groups, int64_t size, uint32_t seed) {
  const int64_t count = rows * groups * size;
  const Values a = RandomFloats(count, seed, 5.0f), b = RandomFloats(count, seed + 1, 5.0f);
  const Values w = RandomFloats(size, seed + 2, 2.0f);
  return {absl::StrCat("AddRmsNorm_", rows, "x", groups, "x", size), rows,
          [=](Backend& backend, int64_t at_once) {
            const auto weight = Load(backend, w);
            const DeviceMatrix x(backend, a, rows), y(backend, b, rows);
            const DeviceMatrix out(backend, rows, groups * size);
            ByPieces(rows, at_once, [&](int64_t t, int64_t n) {
              backend.AddRmsNorm(x.rows(t, n), y.rows(t, n), *weight, 1e-5f, y.rows(t, n),
                                 out.rows(t, n));
            });
            Values both = y.Read();
            for (float value : out.Read()) both.push_back(value);
            return both;
          },
          [=](Arithmetic arithmetic, const Values& expected) {
            Bounds bounds(count, 0.0);
            const double units = IsNative(arithmetic) ? 7 : 2;
            for (int64_t i = count; i < 2 * count; ++i) {
              bounds.push_back(units * kUnit * std::fabs(expected[i]));
            }
            return bounds;
          }};
}

// Few values that are equal, so that most places are decided by the columns; or all different. Rows
// with NaNs, infinities and zeros of both signs follow each other where there is room.
Values TopRows(int64_t rows, int64_t cols, bool ties, uint32_t seed) {
  Values x = RandomFloats(rows * cols, seed, 12.0f);
  const float infinity = std::numeric_limits<float>::infinity();
  for (int64_t t = 0; t < rows; ++t) {
    const absl::Span<float> row = absl::MakeSpan(x).subspan(t * cols, cols);
    if (ties) {
      for (float& value : row) value = std::floor(value / 4);
      row[cols / 2] = -0.0f;
    }
    if (t == 1) row[cols / 2] = std::nanf("");
    if (t == 2) row[cols - 1] = infinity;
    if (t == 3) std::fill(row.begin(), row.end() - 1, -infinity);
    if (t == 4) std::fill(row.begin(), row.end(), std::nanf(""));
    if (t == 5) std::fill(row.begin(), row.end(), -infinity);
  }
  return x;
}

// As a number that differences can be formed of.
float Finite(double value) {
  if (std::isnan(value)) return -1e9f;
  return static_cast<float>(std::clamp(value, -2e9, 2e9));
}

Case TopKCase(int64_t rows, int64_t cols, int32_t k, bool ties, uint32_t seed) {
  const Values x = TopRows(rows, cols, ties, seed);
  return {absl::StrCat("TopK_", rows, "x", cols, "_k", k, ties ? "_ties" : ""), rows,
          [=](Backend& backend, int64_t at_once) {
            const DeviceMatrix m(backend, x, rows);
            Values result;
            ByPieces(rows, at_once, [&](int64_t t, int64_t n) {
              std::vector<TopValues> top(n);
              backend.TopK(m.rows(t, n), k, absl::MakeSpan(top));
              for (const TopValues& row : top) {
                for (int32_t i = 0; i < k; ++i) {
                  const bool there = i < static_cast<int32_t>(row.values.size());
                  result.push_back(there ? static_cast<float>(row.values[i].id) : -1.0f);
                  result.push_back(there ? Finite(row.values[i].value) : 0.0f);
                }
                result.push_back(Finite(row.exp_sum));
              }
            });
            return result;
          },
          // Ids and values are exact. The sum: exp within three units, differences of up to 24
          // rounded, 64 additions in float, the rounding of this test.
          [=](Arithmetic, const Values& expected) {
            Bounds bounds(expected.size(), 0.0);
            for (size_t i = 2 * k; i < bounds.size(); i += 2 * k + 1) {
              bounds[i] = (6 + 24 + 64 + 1) * kUnit * std::fabs(expected[i]);
            }
            return bounds;
          }};
}

struct RopeShape {
  RopePairing pairing;
  int32_t heads;
  int32_t head_size;
  int32_t dims;
  bool factors;
};

Case RopeCase(const RopeShape& shape, uint32_t seed) {
  const std::vector<int32_t> positions = {0, 1, 7, 500, 2047};
  const int64_t rows = static_cast<int64_t>(positions.size());
  const Values x = RandomFloats(rows * shape.heads * shape.head_size, seed, 4.0f);
  Values factors = RandomFloats(shape.dims / 2, seed + 1);
  for (float& f : factors) f = 4.0f + 3.0f * f;
  return {absl::StrCat("Rope_", shape.pairing == RopePairing::kAdjacent ? "adjacent" : "half", "_H",
                       shape.heads, "_K", shape.head_size, "_D", shape.dims,
                       shape.factors ? "_factors" : ""),
          rows,
          [=](Backend& backend, int64_t at_once) {
            const auto vector = Load(backend, factors);
            const DeviceMatrix m(backend, x, rows);
            RopeSpec spec = {shape.pairing, shape.dims, 100000.0f, 1.0f,
                             shape.factors ? vector.get() : nullptr};
            ByPieces(rows, at_once, [&](int64_t t, int64_t n) {
              backend.Rope(spec, shape.head_size, absl::MakeConstSpan(positions).subspan(t, n),
                           m.rows(t, n));
            });
            return m.Read();
          },
          // Two products of values <= 4 with sines off by one unit, and their sum: six units of 8
          // at most; f32: one rounding on either side.
          [](Arithmetic arithmetic, const Values& expected) {
            Bounds bounds;
            for (float e : expected) {
              bounds.push_back(IsNative(arithmetic) ? 6 * kUnit * 8 : 2 * kUnit * std::fabs(e));
            }
            return bounds;
          },
          1e-10, 1e-10,
          // A card forms the angles as llama.cpp's CPU backend does.
          Numerics::kNative};
}

Case ActivationCase(Activation activation, int64_t rows, int64_t cols, uint32_t seed) {
  Values gate = RandomFloats(rows * cols, seed, 12.0f);
  // Where exp leaves its range, the ends of GELU's table, zeros and tiny values.
  const float edges[] = {-200.0f, -104.0f, -88.5f, 88.5f, 200.0f, -10.0f,
                         10.0f,   0.0f,    -0.0f,  1e-8f, -1e-8f, -9.999f};
  for (size_t i = 0; i < std::min(std::size(edges), gate.size()); ++i) gate[i] = edges[i];
  const Values up = RandomFloats(rows * cols, seed + 1, 3.0f);
  const bool silu = activation == Activation::kSilu;
  return {absl::StrCat(silu ? "Silu_" : "Gelu_", rows, "x", cols), rows,
          [=](Backend& backend, int64_t at_once) {
            const DeviceMatrix g(backend, gate, rows);
            const DeviceMatrix u(backend, up, rows);
            ByPieces(rows, at_once, [&](int64_t t, int64_t n) {
              backend.GatedActivation(activation, g.rows(t, n), u.rows(t, n), g.rows(t, n));
            });
            return g.Read();
          },
          // SiLU: exp within two ulps (4 units), a sum, a quotient, a product; results below the
          // normal range count as zero. GELU native: float cancellation of 1 + tanh (x units), then
          // a half that may land on the other side; on a card float throughout: tanh within two
          // ulps of an argument within five units, times |x| / 2.
          [=](Arithmetic arithmetic, const Values& expected) {
            Bounds bounds;
            for (size_t i = 0; i < expected.size(); ++i) {
              const double size = std::fabs(expected[i]);
              double bound = 2 * kUnit * size + 0x1p-120;
              if (IsNative(arithmetic) && silu) bound = 8 * kUnit * size + 0x1p-120;
              if (arithmetic == Arithmetic::kDeviceNative && !silu) {
                bound = 8 * kUnit * size + 4 * kUnit * std::fabs(up[i] * gate[i]);
              }
              if (arithmetic == Arithmetic::kNative && !silu) {
                bound =
                    0x1p-10 * size + std::fabs(up[i]) * (2 * kUnit * std::fabs(gate[i]) + 0x1p-24);
              }
              bounds.push_back(bound);
            }
            return bounds;
          },
          silu ? 1e-10 : 1e-7};
}

Case AddCase(int64_t rows, int64_t cols, uint32_t seed) {
  const Values a = RandomFloats(rows * cols, seed), b = RandomFloats(rows * cols, seed + 1);
  const Values bias = RandomFloats(cols, seed + 2);
  return {absl::StrCat("AddBiasScale_", rows, "x", cols), rows,
          [=](Backend& backend, int64_t at_once) {
            const auto vector = Load(backend, bias);
            const DeviceMatrix x(backend, a, rows), y(backend, b, rows);
            ByPieces(rows, at_once, [&](int64_t t, int64_t n) {
              backend.Add(x.rows(t, n), y.rows(t, n), x.rows(t, n));
              backend.AddBias(*vector, x.rows(t, n));
              backend.Scale(25.3f, x.rows(t, n));
            });
            return x.Read();
          },
          Exact};
}

}  // namespace

std::vector<Case> ElementwiseCases() {
  std::vector<Case> cases;
  uint32_t seed = 9000;
  for (int64_t size : {1, 7, 8, 64, 576, 577}) cases.push_back(RmsNormCase(3, 1, size, seed += 2));
  cases.push_back(RmsNormCase(5, 9, 64, seed += 2));
  cases.push_back(RmsNormCase(2, 3, 13, seed += 2));
  cases.push_back(RmsNormCase(64, 1, 576, seed += 2));
  for (RopePairing pairing : {RopePairing::kAdjacent, RopePairing::kHalfSplit}) {
    cases.push_back(RopeCase({pairing, 3, 64, 64, false}, seed += 2));
    cases.push_back(RopeCase({pairing, 2, 24, 10, true}, seed += 2));
    cases.push_back(RopeCase({pairing, 1, 2, 2, false}, seed += 2));
  }
  for (Activation activation : {Activation::kSilu, Activation::kGeluTanh}) {
    cases.push_back(ActivationCase(activation, 1, 1, seed += 2));
    cases.push_back(ActivationCase(activation, 3, 13, seed += 2));
    cases.push_back(ActivationCase(activation, 48, 1536, seed += 2));  // enough for threads
  }
  for (int64_t size : {1, 64, 577}) cases.push_back(AddRmsNormCase(3, 1, size, seed += 3));
  cases.push_back(AddRmsNormCase(2, 3, 13, seed += 3));
  for (bool ties : {false, true}) {
    cases.push_back(TopKCase(6, 1, 1, ties, seed += 3));
    cases.push_back(TopKCase(6, 321, 1, ties, seed += 3));
    cases.push_back(TopKCase(6, 321, 40, ties, seed += 3));
    cases.push_back(TopKCase(6, 40, 1000, ties, seed += 3));
    cases.push_back(TopKCase(2, 4096, 5, ties, seed += 3));
    // Several slices, merged at once, and in two steps.
    cases.push_back(TopKCase(3, 9001, 1, ties, seed += 3));
    cases.push_back(TopKCase(3, 9001, 1024, ties, seed += 3));
    cases.push_back(TopKCase(1, 5 * 4096 + 1, 700, ties, seed += 3));
  }
  cases.push_back(AddCase(1, 1, seed += 3));
  cases.push_back(AddCase(64, 577, seed += 3));
  return cases;
}

std::vector<Case> AllCases() {
  std::vector<Case> all = ProductCases();
  for (Case& c : AttentionCases()) all.push_back(std::move(c));
  for (Case& c : ElementwiseCases()) all.push_back(std::move(c));
  return all;
}

}  // namespace parity::kernels::conformance
