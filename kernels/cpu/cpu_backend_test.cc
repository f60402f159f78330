// What the conformance suite does not cover: creation, taps, sticky errors, NaNs, neighbours of a
// batch.
#include "kernels/cpu/cpu_backend.h"

#include <cmath>
#include <limits>
#include <vector>

#include "gtest/gtest.h"
#include "kernels/conformance/fixtures.h"

namespace parity::kernels {
namespace {

using conformance::DeviceMatrix;
using conformance::RandomFloats;
using conformance::RandomWeight;
using conformance::SameBits;

std::unique_ptr<CpuBackend> Make(int threads = 1, ActivationQuantization quantization = {}) {
  CpuOptions options;
  options.threads = threads;
  options.activations = quantization;
  return *CpuBackend::Create(options);
}

TEST(CpuBackendTest, SaysWhatItIs) {
  const auto backend = Make(3);
  EXPECT_EQ(backend->name(), "cpu");
  EXPECT_EQ(backend->threads(), 3);
  EXPECT_EQ(backend->compute_path(), Name(BestSimdPath()));
  EXPECT_EQ(backend->numerics(), Numerics::kNative);
}

TEST(CpuBackendTest, RefusesWhatTheMachineLacks) {
  CpuOptions options;
  options.threads = 0;
  EXPECT_EQ(CpuBackend::Create(options).status().code(), absl::StatusCode::kInvalidArgument);
  options.threads = 1;
  for (SimdPath path : {SimdPath::kScalar, SimdPath::kAvx2, SimdPath::kAvx512Vnni}) {
    options.path = path;
    EXPECT_EQ(CpuBackend::Create(options).ok(), Supported(path)) << Name(path);
  }
}

TEST(CpuBackendTest, ATapsValuesAreWhatTheNextOpReads) {
  const auto backend = Make();
  const DeviceMatrix x(*backend, {1, 2, 3, 4}, 2);
  int64_t seen_rows = 0;
  backend->Tap(x.all(), true, [&](absl::Span<float> values, int64_t rows, int64_t cols) {
    EXPECT_EQ(cols, 2);
    EXPECT_EQ(values[3], 4.0f);
    seen_rows = rows;
    values[3] = 40.0f;
    return absl::OkStatus();
  });
  EXPECT_EQ(seen_rows, 2);
  backend->Scale(2.0f, x.all());
  EXPECT_EQ(x.Read(), (std::vector<float>{2, 4, 6, 80}));
}

TEST(CpuBackendTest, AfterAnErrorNothingRunsUntilItIsTaken) {
  const auto backend = Make();
  const DeviceMatrix x(*backend, std::vector<float>{1}, 1);
  const auto fail = [](absl::Span<float>, int64_t, int64_t) { return absl::DataLossError("no"); };
  backend->Tap(x.all(), false, fail);
  backend->Scale(2.0f, x.all());
  bool called = false;
  backend->Tap(x.all(), false, [&](absl::Span<float>, int64_t, int64_t) {
    called = true;
    return absl::OkStatus();
  });
  EXPECT_FALSE(called);
  EXPECT_EQ(backend->TakeStatus().code(), absl::StatusCode::kDataLoss);
  EXPECT_TRUE(backend->TakeStatus().ok());
  EXPECT_EQ(x.Read()[0], 1.0f);
}

// A block whose second value is rounded one way by 127 / max and the other way by 1 / (max / 127).
std::vector<float> BlockThatTells() {
  for (float most = 1.0f; most < 2.0f; most += 0x1p-12f) {
    const float right = 127.0f / most;
    const float planted = 1.0f / (most / 127.0f);
    for (float k = 0.5f; k < 126.0f; ++k) {
      const float x = k / right;
      if (std::nearbyint(x * right) == std::nearbyint(x * planted)) continue;
      std::vector<float> block(32);
      block[0] = most;
      block[1] = x;
      return block;
    }
  }
  return {};
}

TEST(CpuBackendTest, APlantedErrorChangesProducts) {
  const std::vector<float> block = BlockThatTells();
  ASSERT_EQ(block.size(), 32u);
  const std::vector<uint8_t> bytes = RandomWeight(DType::kQ8_0, 4, 32, 1);
  std::vector<std::vector<float>> results;
  for (auto quantization :
       {ActivationQuantization::kLlama, ActivationQuantization::kPlantedInverseOfScale}) {
    const auto backend = Make(1, quantization);
    auto weight = *backend->LoadWeight({"w", DType::kQ8_0, 4, 32, bytes});
    const DeviceMatrix x(*backend, block, 1), out(*backend, 1, 4);
    backend->MatMul(*weight, x.all(), out.all());
    results.push_back(out.Read());
  }
  EXPECT_FALSE(SameBits(results[0], results[1]));
}

// Attention of two positions of one sequence in one call, the later one's v being NaN.
TEST(CpuBackendTest, ALaterPositionsNanDoesNotReachAnEarlierRow) {
  for (Numerics numerics : {Numerics::kNative, Numerics::kF32}) {
    CpuOptions options;
    options.numerics = numerics;
    const auto backend = *CpuBackend::Create(options);
    auto cache = *backend->NewKvCache({1, 1, 4, 2, KvType::kF16});
    const float nan = std::numeric_limits<float>::quiet_NaN();
    const DeviceMatrix q(*backend, RandomFloats(8, 1), 2),
        k(*backend, {1, 2, 3, 4, nan, 6, 7, 8}, 2);
    const DeviceMatrix v(*backend, {1, 2, 3, 4, nan, nan, nan, nan}, 2), out(*backend, 2, 4);
    const std::vector<RowPlace> places = {{cache.get(), 0}, {cache.get(), 1}};
    backend->AppendKv(0, k.all(), v.all(), places);
    backend->Attention({0, 1, 1, 4, 0.5f, 0}, q.all(), places, out.all());
    const std::vector<float> result = out.Read();
    for (int i = 0; i < 4; ++i) {
      EXPECT_EQ(result[i], static_cast<float>(i + 1));
      EXPECT_TRUE(std::isnan(result[4 + i])) << i;
    }
  }
}

TEST(CpuBackendTest, ReusingAPositionOverwritesIt) {
  const auto backend = Make();
  auto cache = *backend->NewKvCache({1, 1, 1, 4, KvType::kF32});
  const DeviceMatrix one(*backend, std::vector<float>{1}, 1);
  const DeviceMatrix two(*backend, std::vector<float>{2}, 1);
  const DeviceMatrix out(*backend, 1, 1);
  const std::vector<RowPlace> place = {{cache.get(), 0}};
  backend->AppendKv(0, one.all(), one.all(), place);
  backend->AppendKv(0, one.all(), two.all(), place);
  backend->Attention({0, 1, 1, 1, 1.0f, 0}, one.all(), place, out.all());
  EXPECT_EQ(out.Read()[0], 2.0f);
}

TEST(CpuBackendTest, ABufferTooLargeIsRefused) {
  EXPECT_EQ(Make()->NewBuffer(int64_t{1} << 58).status().code(),
            absl::StatusCode::kResourceExhausted);
}

}  // namespace
}  // namespace parity::kernels
