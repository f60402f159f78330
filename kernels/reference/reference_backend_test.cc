// The oracle against values worked out by hand: everything else is measured against it.
#include "kernels/reference/reference_backend.h"

#include <cmath>
#include <cstring>
#include <vector>

#include "gtest/gtest.h"

namespace parity::kernels {
namespace {

TEST(ReferenceBackendTest, RmsNormDividesByTheRootMeanSquare) {
  auto backend = CreateReferenceBackend(Numerics::kF32);
  auto weight = *backend->LoadVector({1.0f, 2.0f});
  std::vector<float> x = {3.0f, 4.0f, 0.0f, 1.0f};  // two groups of two
  const Matrix m = {x.data(), 1, 4};
  backend->RmsNorm(m, *weight, 0.0f, m);
  const double root = std::sqrt(12.5);
  EXPECT_FLOAT_EQ(x[0], 3.0 / root);
  EXPECT_FLOAT_EQ(x[1], 8.0 / root);
  EXPECT_FLOAT_EQ(x[2], 0.0f);
  EXPECT_FLOAT_EQ(x[3], 2.0 / std::sqrt(0.5));
}

TEST(ReferenceBackendTest, RopePairsAsTheSpecSays) {
  auto backend = CreateReferenceBackend(Numerics::kF32);
  // base 100, 4 dims: angles p and p / 10. A fifth value is not rotated.
  for (RopePairing pairing : {RopePairing::kAdjacent, RopePairing::kHalfSplit}) {
    std::vector<float> x = {1, 2, 3, 4, 5};
    RopeSpec spec;
    spec.pairing = pairing;
    spec.dims = 4;
    spec.base = 100.0f;
    const std::vector<int32_t> positions = {2};
    backend->Rope(spec, 5, positions, {x.data(), 1, 5});
    const bool adjacent = pairing == RopePairing::kAdjacent;
    const double b = adjacent ? 2 : 3;  // the first pair's partner of 1
    EXPECT_FLOAT_EQ(x[0], std::cos(2.0) - b * std::sin(2.0));
    EXPECT_FLOAT_EQ(x[adjacent ? 1 : 2], std::sin(2.0) + b * std::cos(2.0));
    const double a = adjacent ? 3 : 2;
    EXPECT_FLOAT_EQ(x[adjacent ? 2 : 1], a * std::cos(0.2) - 4 * std::sin(0.2));
    EXPECT_FLOAT_EQ(x[3], a * std::sin(0.2) + 4 * std::cos(0.2));
    EXPECT_EQ(x[4], 5.0f);
  }
}

TEST(ReferenceBackendTest, AttentionWeighsWhatTheRowSees) {
  auto backend = CreateReferenceBackend(Numerics::kF32);
  auto cache = *backend->NewKvCache({1, 1, 1, 4, KvType::kF32});
  std::vector<float> k = {0, 1, 2, 9}, v = {10, 20, 40, 1000};
  const std::vector<RowPlace> all = {
      {cache.get(), 0}, {cache.get(), 1}, {cache.get(), 2}, {cache.get(), 3}};
  backend->AppendKv(0, {k.data(), 4, 1}, {v.data(), 4, 1}, all);
  AttentionSpec spec = {0, 1, 1, 1, 0.5f, 0};
  std::vector<float> q = {1}, out = {0};
  const std::vector<RowPlace> third = {{cache.get(), 2}};
  backend->Attention(spec, {q.data(), 1, 1}, third, {out.data(), 1, 1});
  const double e = std::exp(0.5), sum = 1 + e + e * e;
  EXPECT_FLOAT_EQ(out[0], (10 + 20 * e + 40 * e * e) / sum);
  spec.window = 2;  // itself and the one before
  backend->Attention(spec, {q.data(), 1, 1}, third, {out.data(), 1, 1});
  EXPECT_FLOAT_EQ(out[0], (20 + 40 * e) / (1 + e));
}

TEST(ReferenceBackendTest, GroupedHeadsShareTheirKeysInRuns) {
  auto backend = CreateReferenceBackend(Numerics::kF32);
  auto cache = *backend->NewKvCache({1, 2, 1, 1, KvType::kF32});
  std::vector<float> k = {1, 1}, v = {5, 7}, q = {1, 1, 1, 1}, out(4);
  const std::vector<RowPlace> places = {{cache.get(), 0}};
  backend->AppendKv(0, {k.data(), 1, 2}, {v.data(), 1, 2}, places);
  backend->Attention({0, 4, 2, 1, 1.0f, 0}, {q.data(), 1, 4}, places, {out.data(), 1, 4});
  EXPECT_EQ(out, (std::vector<float>{5, 5, 7, 7}));
}

TEST(ReferenceBackendTest, NativeProductsQuantiseTheActivations) {
  // One Q8_0 row of ones (d = 1, q = 1) times x = {127, 0.4, 0.6, 0, ...}: d = 1, so 0.4 -> 0 and
  // 0.6 -> 1.
  std::vector<uint8_t> bytes(34, 1);
  const uint16_t one = 0x3c00;
  std::memcpy(bytes.data(), &one, 2);
  std::vector<float> x(32), out(1);
  x[0] = 127.0f;
  x[1] = 0.4f;
  x[2] = 0.6f;
  for (Numerics numerics : {Numerics::kNative, Numerics::kF32}) {
    auto backend = CreateReferenceBackend(numerics);
    auto weight = *backend->LoadWeight({"w", DType::kQ8_0, 1, 32, bytes});
    backend->MatMul(*weight, {x.data(), 1, 32}, {out.data(), 1, 1});
    EXPECT_EQ(out[0], 128.0f);
    x[2] = 0.7f;
    backend->MatMul(*weight, {x.data(), 1, 32}, {out.data(), 1, 1});
    EXPECT_EQ(out[0], numerics == Numerics::kNative ? 128.0f : 128.1f);
    x[2] = 0.6f;
  }
}

TEST(ReferenceBackendTest, ErrorsAreStickyUntilTaken) {
  auto backend = CreateReferenceBackend(Numerics::kF32);
  std::vector<float> x = {1};
  const Matrix m = {x.data(), 1, 1};
  backend->Tap(m, false,
               [](absl::Span<float>, int64_t, int64_t) { return absl::DataLossError("gone"); });
  backend->Scale(2.0f, m);
  EXPECT_EQ(x[0], 1.0f);
  EXPECT_EQ(backend->TakeStatus().code(), absl::StatusCode::kDataLoss);
  EXPECT_TRUE(backend->TakeStatus().ok());
  backend->Scale(2.0f, m);
  EXPECT_EQ(x[0], 2.0f);
}

TEST(ReferenceBackendTest, RefusesWeightsItCannotMultiply) {
  auto backend = CreateReferenceBackend(Numerics::kNative);
  std::vector<uint8_t> bytes(144);
  // IQ2_XXS
  const auto status = backend->LoadWeight({"blk.0.x", DType{16}, 1, 256, bytes}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnimplemented);
  EXPECT_NE(status.message().find("blk.0.x"), std::string::npos);
  EXPECT_EQ(backend->LoadWeight({"w", DType::kF32, 2, 32, bytes}).status().code(),
            absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace parity::kernels
