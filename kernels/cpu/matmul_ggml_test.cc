// Our products against libggml's own on its CPU backend: the oracle of native numerics.
#include <ggml-backend.h>
#include <ggml-cpu.h>
#include <ggml.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "kernels/cpu/matmul.h"

namespace parity::kernels {
namespace {

struct Free {
  void operator()(ggml_context* context) const { ggml_free(context); }
  void operator()(ggml_backend_t backend) const { ggml_backend_free(backend); }
  void operator()(ggml_backend_buffer_t buffer) const { ggml_backend_buffer_free(buffer); }
};

template <class T>
using Owned = std::unique_ptr<T, Free>;

std::vector<float> Normal(int64_t count, int seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> values(count);
  for (float& value : values) value = normal(random);
  return values;
}

// ggml's mul_mat of a weight [rows, cols] in its own bytes with x [tokens, cols].
std::vector<float> GgmlMatMul(ggml_type type, const std::vector<uint8_t>& weight, int64_t rows,
                              int64_t cols, const std::vector<float>& x) {
  const int64_t tokens = static_cast<int64_t>(x.size()) / cols;
  Owned<ggml_context> context(
      ggml_init({.mem_size = 1 << 20, .mem_buffer = nullptr, .no_alloc = true}));
  ggml_tensor* w = ggml_new_tensor_2d(context.get(), type, cols, rows);
  ggml_tensor* in = ggml_new_tensor_2d(context.get(), GGML_TYPE_F32, cols, tokens);
  ggml_tensor* out = ggml_mul_mat(context.get(), w, in);
  ggml_cgraph* graph = ggml_new_graph(context.get());
  ggml_build_forward_expand(graph, out);
  Owned<ggml_backend> backend(ggml_backend_cpu_init());
  Owned<ggml_backend_buffer> buffer(ggml_backend_alloc_ctx_tensors(context.get(), backend.get()));
  ggml_backend_tensor_set(w, weight.data(), 0, weight.size());
  ggml_backend_tensor_set(in, x.data(), 0, x.size() * sizeof(float));
  EXPECT_EQ(ggml_backend_graph_compute(backend.get(), graph), GGML_STATUS_SUCCESS);
  std::vector<float> result(rows * tokens);
  ggml_backend_tensor_get(out, result.data(), 0, result.size() * sizeof(float));
  return result;
}

// At least `cols` columns, in whole blocks.
int64_t Whole(DType dtype, int64_t cols) {
  const int64_t block = Traits(dtype).block_elements;
  return (cols + block - 1) / block * block;
}

std::vector<DType> Everything() {
  std::vector<DType> types;
  for (const DTypeTraits& traits : AllDTypes()) types.push_back(traits.dtype);
  return types;
}

// The types whose products quantise the activations.
std::vector<DType> Quantised() {
  std::vector<DType> types;
  for (const DTypeTraits& traits : AllDTypes()) {
    if (traits.block_elements > 1) types.push_back(traits.dtype);
  }
  return types;
}

double Nmse(const std::vector<float>& a, const std::vector<float>& b) {
  double difference = 0, power = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    difference += (static_cast<double>(a[i]) - b[i]) * (static_cast<double>(a[i]) - b[i]);
    power += static_cast<double>(a[i]) * a[i];
  }
  return difference / power;
}

class MatMulGgmlTest : public testing::TestWithParam<DType> {};
class QuantisedMatMulGgmlTest : public testing::TestWithParam<DType> {};

// Both sides add the same numbers in float, in another order, so they differ by rounding alone. A
// sum of n terms taken one after another is off by a variance of about n/2 * (2^-24)^2 / 3 of its
// own: 3e-13 for ggml's worst, 576 terms in Q8_0's 8 lanes or fewer, and well under 1e-12 for both
// together. One flipped rounding of an activation is about 1e-6.
TEST_P(MatMulGgmlTest, NativeProductsAreGgmls) {
  const ggml_type type = static_cast<ggml_type>(GetParam());
  const int64_t rows = 24;
  for (int64_t least : {64, 576, 1536}) {
    const int64_t cols = Whole(GetParam(), least);
    for (int64_t tokens : {1, 2, 9, 64}) {
      const std::vector<float> values = Normal(rows * cols, 1), x = Normal(tokens * cols, 2);
      std::vector<uint8_t> bytes(rows * RowBytes(GetParam(), cols));
      ggml_quantize_chunk(type, values.data(), bytes.data(), 0, rows, cols, nullptr);
      const auto weight =
          PackWeight({.name = "w", .dtype = GetParam(), .rows = rows, .cols = cols, .bytes = bytes},
                     Numerics::kNative);
      ASSERT_TRUE(weight.ok()) << weight.status();
      ThreadPool pool(1);
      MatMulContext context(BestSimdPath(), Numerics::kNative, pool);
      std::vector<float> out(rows * tokens);
      MatMul(x.data(), tokens, {{weight->get(), out.data()}}, context);
      const std::vector<float> expected = GgmlMatMul(type, bytes, rows, cols, x);
      EXPECT_LE(Nmse(expected, out), 1e-12) << cols << " columns, " << tokens << " tokens";
    }
  }
}

// Activations that all lie on the borders between two integers: the last bit of the inverse scale
// decides each of them, so ours is ggml's and the planted one is seen. On normal values it flips
// about one of 200,000. Their signs alternate, or the minima would cancel most of the sums.
TEST_P(QuantisedMatMulGgmlTest, BorderlineActivationsTellAPlantedInverseScale) {
  const ggml_type type = static_cast<ggml_type>(GetParam());
  const int64_t rows = 32, cols = 1536;
  const int64_t block = Traits(GetParam()).block_elements;
  const std::vector<float> values = Normal(rows * cols, 4), largest = Normal(cols / block, 5);
  std::vector<float> x(cols);
  for (int64_t k = 0; k < cols; ++k) {
    const float border = static_cast<float>(2 * (k % 32) + 1) / 254.0f;
    x[k] = largest[k / block] * (k % 32 == 0 ? 1.0f : k % 2 == 0 ? border : -border);
  }
  std::vector<uint8_t> bytes(rows * RowBytes(GetParam(), cols));
  ggml_quantize_chunk(type, values.data(), bytes.data(), 0, rows, cols, nullptr);
  const auto weight =
      PackWeight({.name = "w", .dtype = GetParam(), .rows = rows, .cols = cols, .bytes = bytes},
                 Numerics::kNative);
  ASSERT_TRUE(weight.ok()) << weight.status();
  const std::vector<float> expected = GgmlMatMul(type, bytes, rows, cols, x);
  ThreadPool pool(1);
  for (auto quantization :
       {ActivationQuantization::kLlama, ActivationQuantization::kPlantedInverseOfScale}) {
    MatMulContext context(BestSimdPath(), Numerics::kNative, pool, quantization);
    std::vector<float> out(rows);
    MatMul(x.data(), 1, {{weight->get(), out.data()}}, context);
    if (quantization == ActivationQuantization::kLlama) {
      EXPECT_LE(Nmse(expected, out), 1e-12);
    } else {
      EXPECT_GT(Nmse(expected, out), 1e-8);
    }
  }
}

// Every value a packed row stands for is what libggml reads from the same bytes.
TEST_P(MatMulGgmlTest, DequantizedRowsAreGgmls) {
  const ggml_type type = static_cast<ggml_type>(GetParam());
  const int64_t cols = 768;
  const std::vector<float> values = Normal(cols, 3);
  std::vector<uint8_t> bytes(RowBytes(GetParam(), cols));
  ggml_quantize_chunk(type, values.data(), bytes.data(), 0, 1, cols, nullptr);
  const auto weight =
      PackWeight({.name = "w", .dtype = GetParam(), .rows = 1, .cols = cols, .bytes = bytes},
                 Numerics::kNative);
  ASSERT_TRUE(weight.ok()) << weight.status();
  std::vector<float> ours(cols), theirs(cols);
  DequantizeRow(**weight, 0, ours.data());
  if (GetParam() == DType::kF32) {
    theirs = values;
  } else {
    ggml_get_type_traits(type)->to_float(bytes.data(), theirs.data(), cols);
  }
  EXPECT_EQ(ours, theirs);
}

std::string TypeName(const testing::TestParamInfo<DType>& info) { return Traits(info.param).name; }
INSTANTIATE_TEST_SUITE_P(Types, MatMulGgmlTest, testing::ValuesIn(Everything()), TypeName);
INSTANTIATE_TEST_SUITE_P(Types, QuantisedMatMulGgmlTest, testing::ValuesIn(Quantised()), TypeName);

}  // namespace
}  // namespace parity::kernels
