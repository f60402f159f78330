#include <glog/logging.h>

#include <cmath>
#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "kernels/conformance/cases.h"
#include "kernels/conformance/fixtures.h"
#include "kernels/reference/dequantize.h"
#include "kernels/reference/reference_product.h"

namespace parity::kernels::conformance {
namespace {

struct Shape {
  int64_t rows;  // T
  int64_t outputs;
  int64_t inputs;
};

// Less than one group of output rows, several and a rest; one block, many, an odd number.
constexpr Shape kBlockShapes[] = {
    {1, 1, 32}, {3, 17, 96}, {7, 33, 544}, {2, 64, 1536}, {19, 5, 64}};
constexpr Shape kSuperShapes[] = {
    {1, 1, 256}, {3, 17, 768}, {7, 33, 512}, {2, 64, 2304}, {19, 5, 256}};
constexpr Shape kFloatShapes[] = {{1, 1, 1}, {3, 17, 33}, {2, 5, 7}, {5, 65, 577}, {9, 16, 64}};

bool HasMinima(DType dtype) {
  return dtype == DType::kQ2_K || dtype == DType::kQ4_K || dtype == DType::kQ5_K;
}

// sum |w||x| of one output: the size that rounding errors are relative to.
double Magnitude(const WeightSource& weight, int64_t row, const ReferenceActivations& x) {
  std::vector<float> w(weight.cols);
  Dequantize(weight.dtype, weight.bytes.data() + row * RowBytes(weight.dtype, weight.cols),
             weight.cols, w.data());
  double sum = 0;
  if (x.sums.empty()) {
    // The K-quants with minima take them off scaled codes: each may be larger than the weight that
    // they leave, by at most the minimum, and random blocks have minima <= 63 * 2^-8.
    const double minimum = HasMinima(weight.dtype) ? 63 * 0x1p-8 : 0;
    for (int64_t k = 0; k < weight.cols; ++k) {
      sum += (std::fabs(w[k]) + 2 * minimum) * std::fabs(x.values[k]);
    }
    return sum;
  }
  // Q4_1 and Q5_1 add d q x and m s: each may be larger than their sum. The block's largest |w| and
  // |m| <= |w| of q = 0 bound both.
  for (size_t b = 0; b < x.sums.size(); ++b) {
    double most = 0, activations = std::fabs(x.sums[b]);
    for (int64_t k = static_cast<int64_t>(b) * 32; k < static_cast<int64_t>(b + 1) * 32; ++k) {
      most = std::max(most, std::fabs(static_cast<double>(w[k])));
      activations += std::fabs(x.values[k]);
    }
    // |d q| <= |w| + |m|, and random blocks have |m| <= 2^-5.
    sum += (most + 0x1p-4) * activations;
  }
  return sum;
}

struct Product {
  Shape shape;
  DType dtype;
  std::vector<uint8_t> bytes;
  std::vector<float> x;
  std::vector<float> bias;  // empty: none

  WeightSource source() const {
    return {absl::StrCat("w_", Traits(dtype).name), dtype, shape.outputs, shape.inputs, bytes};
  }
};

std::vector<float> RunProduct(const Product& p, Backend& backend, int64_t at_once) {
  auto weight = backend.LoadWeight(p.source());
  CHECK(weight.ok()) << weight.status();
  const DeviceMatrix x(backend, p.x, p.shape.rows);
  const DeviceMatrix out(backend, p.shape.rows, p.shape.outputs);
  auto bias = backend.LoadVector(p.bias);
  CHECK(bias.ok()) << bias.status();
  for (int64_t t = 0; t < p.shape.rows; t += at_once) {
    const int64_t n = std::min(at_once, p.shape.rows - t);
    if (p.bias.empty()) {
      backend.MatMul(**weight, x.rows(t, n), out.rows(t, n));
    } else {
      backend.MatMulBias(**weight, **bias, x.rows(t, n), out.rows(t, n));
    }
  }
  return out.Read();
}

// Rows of a step from which a card dequantises the weights (kernels/cuda/cuda_backend.h).
constexpr int64_t kDenseRows = 9;

// What a card's native numerics round away of one output before they sum.
double RoundedAway(const Product& p, int64_t output, const float* x, double magnitude) {
  const bool blocks = Traits(p.dtype).block_elements > 1;
  if (p.shape.rows >= kDenseRows) {
    // Weights (unless they are of the type already) and activations rounded to halves, normal and
    // subnormal, or to bfloat16.
    if (p.dtype == DType::kF32) return 0;
    if (p.dtype == DType::kBF16) return 0x1p-9 * magnitude;
    double rounded = 2.01 * 0x1p-11 * magnitude;
    for (int64_t k = 0; k < p.shape.inputs; ++k) rounded += 0x1p-25 * std::fabs(x[k]);
    return rounded;
  }
  if (!blocks) return 0;
  // Activations in int8: each is off by half a step of its 32 (and a float rounding or two of q).
  std::vector<float> w(p.shape.inputs);
  Dequantize(p.dtype, p.bytes.data() + output * RowBytes(p.dtype, p.shape.inputs), p.shape.inputs,
             w.data());
  double sum = 0;
  for (int64_t b = 0; b < p.shape.inputs; b += 32) {
    double weights = 0, most = 0;
    for (int64_t k = b; k < b + 32; ++k) {
      weights += std::fabs(static_cast<double>(w[k]));
      most = std::max(most, std::fabs(static_cast<double>(x[k])));
    }
    sum += weights * most / 127 * (0.5 + 127 * 4 * kUnit);
  }
  return sum;
}

// native: k float additions in a row, each off by at most kUnit of a partial sum <= the magnitude,
// in random directions: sqrt(k) of them, twice for safety, and a few for the scales. f32: one
// rounding on either side, weights rounded to float as everywhere, and double sums; on a card
// double sums for few rows only. A card's native numerics: what they round away, then as native. A
// bias is added to the rounded sum, and rounded again.
std::vector<double> ProductBounds(const Product& p, Arithmetic arithmetic,
                                  const std::vector<float>& expected) {
  const bool float_sums =
      IsNative(arithmetic) || (arithmetic == Arithmetic::kDeviceF32 && p.shape.rows >= kDenseRows);
  const Numerics oracle = arithmetic == Arithmetic::kNative ? Numerics::kNative : Numerics::kF32;
  std::vector<double> bounds;
  const bool blocks = Traits(p.dtype).block_elements > 1;
  const double additions =
      blocks ? static_cast<double>(p.shape.inputs) / 16 : static_cast<double>(p.shape.inputs);
  for (int64_t t = 0; t < p.shape.rows; ++t) {
    const ReferenceActivations x =
        PrepareActivations(p.dtype, oracle, p.x.data() + t * p.shape.inputs, p.shape.inputs);
    for (int64_t r = 0; r < p.shape.outputs; ++r) {
      const double magnitude = Magnitude(p.source(), r, x);
      const double result = expected[bounds.size()];
      const double bias = p.bias.empty() ? 0 : p.bias[r];
      const double added = p.bias.empty() ? 0 : 2 * kUnit * std::fabs(result);
      const double rounded = 2 * kUnit * (std::fabs(result - bias) + added);
      if (float_sums) {
        double bound = (4 + 2 * std::sqrt(additions)) * kUnit * magnitude;
        if (arithmetic == Arithmetic::kDeviceNative) {
          bound += RoundedAway(p, r, p.x.data() + t * p.shape.inputs, magnitude);
        }
        bounds.push_back(bound + added);
      } else {
        bounds.push_back(rounded + 1e-13 * magnitude + added);
      }
    }
  }
  return bounds;
}

Case ProductCase(DType dtype, Shape shape, bool biased, uint32_t seed) {
  const Product p = {shape, dtype, RandomWeight(dtype, shape.outputs, shape.inputs, seed),
                     RandomFloats(shape.rows * shape.inputs, seed + 1, 3.0f),
                     RandomFloats(biased ? shape.outputs : 0, seed + 2, 3.0f)};
  return {absl::StrCat(biased ? "MatMulBias_" : "MatMul_", Traits(dtype).name, "_", shape.rows, "x",
                       shape.outputs, "x", shape.inputs),
          shape.rows,
          [p](Backend& backend, int64_t at_once) { return RunProduct(p, backend, at_once); },
          [p](Arithmetic arithmetic, const std::vector<float>& expected) {
            return ProductBounds(p, arithmetic, expected);
          },
          1e-10,
          // A step of int8 is max / 127: uniform rounding is 1 / 12 of its square, uniform
          // activations have a mean square of max^2 / 3, so NMSE is 1.6e-5. That is a mean: one
          // output may be small by chance, and has its bound.
          shape.rows * shape.outputs >= 16 ? 1e-4 : 1.0};
}

// Products of the same rows in one call; their outputs one after the other.
std::vector<float> RunProjections(absl::Span<const Product> products, Backend& backend,
                                  int64_t at_once) {
  const Shape& shape = products[0].shape;
  const DeviceMatrix x(backend, products[0].x, shape.rows);
  std::vector<std::unique_ptr<Weight>> weights;
  std::vector<std::unique_ptr<Vector>> biases;
  std::vector<std::unique_ptr<DeviceMatrix>> outs;
  for (const Product& p : products) {
    auto weight = backend.LoadWeight(p.source());
    CHECK(weight.ok()) << weight.status();
    weights.push_back(*std::move(weight));
    auto bias = backend.LoadVector(p.bias);
    CHECK(bias.ok()) << bias.status();
    biases.push_back(p.bias.empty() ? nullptr : *std::move(bias));
    outs.push_back(std::make_unique<DeviceMatrix>(backend, shape.rows, p.shape.outputs));
  }
  for (int64_t t = 0; t < shape.rows; t += at_once) {
    const int64_t n = std::min(at_once, shape.rows - t);
    std::vector<Projection> projections;
    for (size_t i = 0; i < products.size(); ++i) {
      projections.push_back({weights[i].get(), biases[i].get(), outs[i]->rows(t, n)});
    }
    backend.Project(x.rows(t, n), projections);
  }
  std::vector<float> all;
  for (const auto& out : outs) {
    const std::vector<float> values = out->Read();
    all.insert(all.end(), values.begin(), values.end());
  }
  return all;
}

// Several weights of several types, one of them biased.
Case ProjectCase(int64_t rows, uint32_t seed) {
  const int64_t inputs = 768;
  const std::vector<float> x = RandomFloats(rows * inputs, seed, 3.0f);
  std::vector<Product> products;
  int64_t outputs = 5;
  for (const DType dtype : {DType::kQ4_K, DType::kQ8_0, DType::kQ4_K, DType::kF16}) {
    products.push_back({{rows, outputs, inputs},
                        dtype,
                        RandomWeight(dtype, outputs, inputs, ++seed),
                        x,
                        RandomFloats(products.size() == 1 ? outputs : 0, ++seed, 3.0f)});
    outputs += 23;
  }
  const auto bounds = [products](Arithmetic arithmetic, const std::vector<float>& expected) {
    std::vector<double> all;
    auto from = expected.begin();
    for (const Product& p : products) {
      const auto to = from + p.shape.rows * p.shape.outputs;
      for (double bound : ProductBounds(p, arithmetic, {from, to})) all.push_back(bound);
      from = to;
    }
    return all;
  };
  return {absl::StrCat("Project_", rows),
          rows,
          [products](Backend& backend, int64_t at_once) {
            return RunProjections(products, backend, at_once);
          },
          bounds,
          1e-10,
          1e-4};  // as ProductCase's
}

// `multiplied`: whether the table is the head's weight too.
Case EmbedCase(DType dtype, bool multiplied, uint32_t seed) {
  const int64_t vocabulary = 37, width = Traits(dtype).block_elements == 256 ? 768 : 96;
  const std::vector<uint8_t> bytes = RandomWeight(dtype, vocabulary, width, seed);
  const std::vector<int32_t> ids = {0, 36, 5, 5, 17, 1};
  return {absl::StrCat("Embed_", Traits(dtype).name, multiplied ? "_tied" : ""),
          static_cast<int64_t>(ids.size()),
          [=](Backend& backend, int64_t at_once) {
            auto table = backend.LoadWeight({"table", dtype, vocabulary, width, bytes, multiplied});
            CHECK(table.ok()) << table.status();
            const int64_t rows = static_cast<int64_t>(ids.size());
            const DeviceMatrix out(backend, rows, width);
            for (int64_t t = 0; t < rows; t += at_once) {
              const int64_t n = std::min(at_once, rows - t);
              backend.Embed(**table, absl::MakeConstSpan(ids).subspan(t, n), out.rows(t, n));
            }
            return out.Read();
          },
          // Dequantisation is exact.
          [](Arithmetic, const std::vector<float>& expected) {
            return std::vector<double>(expected.size(), 0.0);
          }};
}

}  // namespace

std::vector<Case> ProductCases() {
  std::vector<Case> cases;
  uint32_t seed = 100;
  for (const DTypeTraits& traits : AllDTypes()) {
    if (!traits.computable) continue;
    for (const bool multiplied : {true, false}) {
      cases.push_back(EmbedCase(traits.dtype, multiplied, seed += 2));
    }
    const absl::Span<const Shape> shapes = traits.block_elements == 1    ? kFloatShapes
                                           : traits.block_elements == 32 ? kBlockShapes
                                                                         : kSuperShapes;
    for (const Shape& shape : shapes) {
      cases.push_back(ProductCase(traits.dtype, shape, /*biased=*/false, seed += 2));
    }
    // From the packed blocks, and dequantised.
    for (const Shape& shape : {shapes[1], shapes[4]}) {
      cases.push_back(ProductCase(traits.dtype, shape, /*biased=*/true, seed += 3));
    }
  }
  for (const int64_t rows : {1, 3, 19}) cases.push_back(ProjectCase(rows, seed += 20));
  return cases;
}

}  // namespace parity::kernels::conformance
