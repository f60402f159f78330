// Native numerics against libggml's own CPU ops: the engine this backend claims to agree with.
#include <cmath>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "ggml-cpu.h"
#include "ggml.h"
#include "gtest/gtest.h"
#include "kernels/conformance/fixtures.h"
#include "kernels/cpu/cpu_backend.h"

namespace parity::kernels {
namespace {

using conformance::DeviceMatrix;
using conformance::Nmse;
using conformance::RandomFloats;
using conformance::RandomWeight;
using conformance::SameBits;

// Memory for a few small tensors and their graph.
class Ggml {
 public:
  Ggml() : context_(ggml_init({64 << 20, nullptr, false})) {}
  ~Ggml() { ggml_free(context_); }
  ggml_context* get() { return context_; }

  ggml_tensor* Tensor(ggml_type type, const std::vector<int64_t>& ne, const void* data) {
    ggml_tensor* t = ggml_new_tensor(context_, type, static_cast<int>(ne.size()), ne.data());
    std::memcpy(t->data, data, ggml_nbytes(t));
    return t;
  }
  ggml_tensor* Floats(const std::vector<int64_t>& ne, const std::vector<float>& values) {
    return Tensor(GGML_TYPE_F32, ne, values.data());
  }
  std::vector<float> Compute(ggml_tensor* result) {
    ggml_cgraph* graph = ggml_new_graph(context_);
    ggml_build_forward_expand(graph, result);
    EXPECT_EQ(ggml_graph_compute_with_ctx(context_, graph, 1), GGML_STATUS_SUCCESS);
    const float* data = static_cast<const float*>(result->data);
    return std::vector<float>(data, data + ggml_nelements(result));
  }

 private:
  ggml_context* context_;
};

std::unique_ptr<CpuBackend> Cpu() { return *CpuBackend::Create(CpuOptions()); }

std::vector<DType> Everything() {
  std::vector<DType> types;
  for (const DTypeTraits& traits : AllDTypes()) types.push_back(traits.dtype);
  return types;
}

class GgmlProductTest : public testing::TestWithParam<DType> {};

// Sums of 24 blocks, or of 768 float products, in another order: NMSE a few kUnit^2 (4e-15) times
// their number.
TEST_P(GgmlProductTest, Agrees) {
  const int64_t rows = 48, cols = 768, tokens = 5;
  const std::vector<uint8_t> bytes = RandomWeight(GetParam(), rows, cols, 11);
  const std::vector<float> x = RandomFloats(tokens * cols, 12, 3.0f);
  Ggml ggml;
  const std::vector<float> theirs = ggml.Compute(ggml_mul_mat(
      ggml.get(), ggml.Tensor(static_cast<ggml_type>(GetParam()), {cols, rows}, bytes.data()),
      ggml.Floats({cols, tokens}, x)));
  const auto backend = Cpu();
  auto weight = *backend->LoadWeight({"w", GetParam(), rows, cols, bytes});
  const DeviceMatrix in(*backend, x, tokens), out(*backend, tokens, rows);
  backend->MatMul(*weight, in.all(), out.all());
  EXPECT_LE(Nmse(theirs, out.Read()), 1e-12);
}

INSTANTIATE_TEST_SUITE_P(Types, GgmlProductTest, testing::ValuesIn(Everything()),
                         [](const auto& info) { return std::string(Traits(info.param).name); });

TEST(GgmlOracleTest, RmsNorm) {
  const std::vector<float> x = RandomFloats(3 * 576, 1, 4.0f), w = RandomFloats(576, 2);
  Ggml ggml;
  const std::vector<float> theirs =
      ggml.Compute(ggml_mul(ggml.get(), ggml_rms_norm(ggml.get(), ggml.Floats({576, 3}, x), 1e-5f),
                            ggml.Floats({576}, w)));
  const auto backend = Cpu();
  auto weight = *backend->LoadVector(w);
  const DeviceMatrix m(*backend, x, 3);
  backend->RmsNorm(m.all(), *weight, 1e-5f, m.all());
  EXPECT_LE(Nmse(theirs, m.Read()), 1e-14);
}

TEST(GgmlOracleTest, Rope) {
  const std::vector<int32_t> positions = {0, 1, 300, 2047};
  const std::vector<float> x = RandomFloats(4 * 3 * 64, 3);
  std::vector<float> factors = RandomFloats(32, 4);
  for (float& f : factors) f = 4.0f + 3.0f * f;
  for (RopePairing pairing : {RopePairing::kAdjacent, RopePairing::kHalfSplit}) {
    for (bool with_factors : {false, true}) {
      Ggml ggml;
      const int mode = pairing == RopePairing::kAdjacent ? 0 : 2;
      const std::vector<float> theirs = ggml.Compute(ggml_rope_ext(
          ggml.get(), ggml.Floats({64, 3, 4}, x), ggml.Tensor(GGML_TYPE_I32, {4}, positions.data()),
          with_factors ? ggml.Floats({32}, factors) : nullptr, 64, mode, 0, 100000.0f, 1.0f, 0.0f,
          1.0f, 32.0f, 1.0f));
      const auto backend = Cpu();
      auto vector = *backend->LoadVector(factors);
      const DeviceMatrix m(*backend, x, 4);
      backend->Rope({pairing, 64, 100000.0f, 1.0f, with_factors ? vector.get() : nullptr}, 64,
                    positions, m.all());
      EXPECT_LE(Nmse(theirs, m.Read()), 1e-14) << mode << with_factors;
    }
  }
}

// SiLU runs the same polynomial, so on an AVX2 build of libggml the bits are the same; an AVX-512
// one rounds once more. GELU is the same table where the compiler contracted it alike.
TEST(GgmlOracleTest, GatedActivations) {
  const std::vector<float> gate = RandomFloats(2 * 1536, 5, 12.0f), up = RandomFloats(2 * 1536, 6);
  for (Activation activation : {Activation::kSilu, Activation::kGeluTanh}) {
    Ggml ggml;
    ggml_tensor* g = ggml.Floats({1536, 2}, gate);
    ggml_tensor* u = ggml.Floats({1536, 2}, up);
    const bool silu = activation == Activation::kSilu;
    const std::vector<float> theirs = ggml.Compute(silu ? ggml_swiglu_split(ggml.get(), g, u)
                                                        : ggml_geglu_split(ggml.get(), g, u));
    const auto backend = Cpu();
    const DeviceMatrix a(*backend, gate, 2), b(*backend, up, 2);
    backend->GatedActivation(activation, a.all(), b.all(), a.all());
    if (silu ? ggml_cpu_has_avx2() && !ggml_cpu_has_avx512() : ggml_cpu_has_fma()) {
      EXPECT_TRUE(SameBits(theirs, a.Read()));
    }
    EXPECT_LE(Nmse(theirs, a.Read()), silu ? 1e-14 : 1e-9) << silu;
  }
}

// The graph of llama.cpp without flash attention: K q, softmax(scale, mask), V^T p; keys and values
// as halves or floats.
std::vector<float> GgmlAttention(KvType type, int64_t heads, int64_t groups, int64_t size,
                                 int64_t n, const std::vector<float>& q,
                                 const std::vector<float>& k, const std::vector<float>& v) {
  Ggml ggml;
  ggml_context* c = ggml.get();
  const ggml_type cache = type == KvType::kF16 ? GGML_TYPE_F16 : GGML_TYPE_F32;
  std::vector<float> mask(n * n);
  for (int64_t t = 0; t < n; ++t) {
    for (int64_t i = t + 1; i < n; ++i) mask[t * n + i] = -INFINITY;
  }
  const auto stored = [&](const std::vector<float>& x) {
    return ggml_cast(c, ggml.Floats({size, groups, n}, x), cache);
  };
  ggml_tensor* keys = ggml_permute(c, stored(k), 0, 2, 1, 3);                  // [K, n, G]
  ggml_tensor* values = ggml_cont(c, ggml_permute(c, stored(v), 1, 2, 0, 3));  // [n, K, G]
  ggml_tensor* queries = ggml_permute(c, ggml.Floats({size, heads, n}, q), 0, 2, 1, 3);
  ggml_tensor* scores = ggml_mul_mat(c, keys, queries);
  ggml_tensor* p = ggml_soft_max_ext(c, scores, ggml.Floats({n, n}, mask),
                                     1.0f / std::sqrt(static_cast<float>(size)), 0.0f);
  ggml_tensor* out = ggml_permute(c, ggml_mul_mat(c, values, p), 0, 2, 1, 3);
  return ggml.Compute(ggml_cont(c, out));
}

TEST(GgmlOracleTest, Attention) {
  const int64_t heads = 9, groups = 3, size = 64, n = 40;
  const std::vector<float> q = RandomFloats(n * heads * size, 7, 2.0f);
  const std::vector<float> k = RandomFloats(n * groups * size, 8, 2.0f);
  const std::vector<float> v = RandomFloats(n * groups * size, 9);
  for (KvType type : {KvType::kF16, KvType::kF32}) {
    const std::vector<float> theirs = GgmlAttention(type, heads, groups, size, n, q, k, v);
    const auto backend = Cpu();
    auto cache = *backend->NewKvCache({1, 3, 64, 40, type});
    const DeviceMatrix dq(*backend, q, n), dk(*backend, k, n), dv(*backend, v, n);
    const DeviceMatrix out(*backend, n, heads * size);
    std::vector<RowPlace> places;
    for (int32_t i = 0; i < n; ++i) places.push_back({cache.get(), i});
    backend->AppendKv(0, dk.all(), dv.all(), places);
    backend->Attention({0, 9, 3, 64, 1.0f / std::sqrt(64.0f), 0}, dq.all(), places, out.all());
    // Against an F16 cache a probability may round to the other half: at most 2^-22 of its square.
    EXPECT_LE(Nmse(theirs, out.Read()), type == KvType::kF16 ? 1e-8 : 1e-12);
  }
}

// One query at a time, as llama.cpp decodes: scores and probabilities have ggml's bits on an AVX2
// build, so no probability is rounded to the other half; only the sums over positions differ.
TEST(GgmlOracleTest, AttentionOfOneRow) {
  for (const int64_t size : {32, 48, 64, 80, 128, 256}) {
    const int64_t heads = 7, n = 56;
    const float scale = 1.0f / std::sqrt(static_cast<float>(size));
    const std::vector<float> q = RandomFloats(heads * size, 7, 2.0f);
    const std::vector<float> k = RandomFloats(n * size, 8, 2.0f);
    const std::vector<float> v = RandomFloats(n * size, 9);
    Ggml ggml;
    ggml_context* c = ggml.get();
    ggml_tensor* keys = ggml_cast(c, ggml.Floats({size, n}, k), GGML_TYPE_F16);
    ggml_tensor* values =
        ggml_cast(c, ggml_cont(c, ggml_transpose(c, ggml.Floats({size, n}, v))), GGML_TYPE_F16);
    ggml_tensor* queries = ggml.Floats({size, 1, heads}, q);
    ggml_tensor* p = ggml_soft_max_ext(c, ggml_mul_mat(c, keys, queries), nullptr, scale, 0.0f);
    const std::vector<float> theirs = ggml.Compute(ggml_mul_mat(c, values, p));
    const auto backend = Cpu();
    auto cache = *backend->NewKvCache({1, 1, static_cast<int32_t>(size), 56, KvType::kF16});
    const DeviceMatrix dk(*backend, k, n), dv(*backend, v, n);
    std::vector<RowPlace> places;
    for (int32_t i = 0; i < n; ++i) places.push_back({cache.get(), i});
    backend->AppendKv(0, dk.all(), dv.all(), places);
    const DeviceMatrix dq(*backend, q, 1), out(*backend, 1, heads * size);
    backend->Attention({0, 7, 1, static_cast<int32_t>(size), scale, 0}, dq.all(),
                       absl::MakeSpan(places).subspan(n - 1), out.all());
    const bool same_order =
        ggml_cpu_has_avx2() && ggml_cpu_has_f16c() && ggml_cpu_has_fma() && !ggml_cpu_has_avx512();
    // 56 float additions on either side; a single flipped probability shows as 1e-9 or more.
    EXPECT_LE(Nmse(theirs, out.Read()), same_order ? 1e-12 : 1e-8) << size;
  }
}

}  // namespace
}  // namespace parity::kernels
