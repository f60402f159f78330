#include "kernels/cuda/cuda_backend.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>
#include <memory>
#include <vector>

#include "kernels/conformance/fixtures.h"
#include "kernels/cuda/emulation/emulated_device.h"
#include "tests/testing/status_matchers.h"

namespace parity::kernels::cuda {
namespace {

using conformance::DeviceMatrix;
using conformance::RandomFloats;
using conformance::RandomWeight;
using conformance::SameBits;
using emulation::EmulatedDevice;
using emulation::EmulatedOptions;
using emulation::Order;
using ::parity::testing::IsOk;
using ::parity::testing::StatusIs;
using ::testing::HasSubstr;

struct Bench {
  explicit Bench(Numerics numerics = Numerics::kNative, int64_t tile_elements = kTileElements,
                 const EmulatedOptions& options = {}) {
    auto owned = std::make_unique<EmulatedDevice>(options);
    device = owned.get();
    backend = std::make_unique<CudaBackend>(
        std::move(owned), CudaBackendOptions{.numerics = numerics,
                                             .on_broken = [this](const absl::Status&) { ++broken; },
                                             .tile_elements = tile_elements});
  }
  EmulatedDevice* device;
  int broken = 0;  // times it was said
  std::unique_ptr<CudaBackend> backend;
};

std::vector<float> Product(CudaBackend& backend, DType dtype, int64_t rows, int64_t at_once) {
  constexpr int64_t kOutputs = 13, kInputs = 96;
  const std::vector<uint8_t> bytes = RandomWeight(dtype, kOutputs, kInputs, 5);
  auto weight = *backend.LoadWeight({"w", dtype, kOutputs, kInputs, bytes});
  const DeviceMatrix x(backend, RandomFloats(rows * kInputs, 6, 3.0f), rows);
  const DeviceMatrix out(backend, rows, kOutputs);
  for (int64_t t = 0; t < rows; t += at_once) {
    backend.MatMul(*weight, x.rows(t, at_once), out.rows(t, at_once));
  }
  return out.Read();
}

TEST(CudaBackendTest, ARowOfAShortStepDoesNotKnowTheOthers) {
  for (Numerics numerics : {Numerics::kNative, Numerics::kF32}) {
    for (DType dtype : {DType::kQ4_1, DType::kQ8_0, DType::kF16}) {
      const Bench bench(numerics);
      const std::vector<float> together = Product(*bench.backend, dtype, 8, 8);
      EXPECT_TRUE(SameBits(together, Product(*bench.backend, dtype, 8, 1)));
      EXPECT_TRUE(SameBits(together, Product(*bench.backend, dtype, 8, 2)));
    }
  }
}

// Several products read the same rows: they are quantised once, until somebody writes to them.
TEST(CudaBackendTest, WhatProductsShareIsQuantisedOnceAndNeverStale) {
  constexpr int64_t kInputs = 96;
  const Bench bench;
  CudaBackend& backend = *bench.backend;
  const std::vector<uint8_t> bytes = RandomWeight(DType::kQ8_0, kInputs, kInputs, 5);
  auto weight = *backend.LoadWeight({"w", DType::kQ8_0, kInputs, kInputs, bytes});
  const DeviceMatrix x(backend, RandomFloats(2 * kInputs, 6), 2), y(backend, 2, kInputs);
  const DeviceMatrix z(backend, 2, kInputs);
  backend.MatMul(*weight, x.all(), y.all());
  const int64_t before = emulation::KernelsRun();
  backend.MatMul(*weight, x.all(), y.all());
  EXPECT_EQ(emulation::KernelsRun(), before + 1) << "the product alone";
  backend.MatMul(*weight, x.rows(1, 1), y.rows(1, 1));
  EXPECT_EQ(emulation::KernelsRun(), before + 3) << "other rows are quantised";

  const auto weight_of_one = *backend.LoadVector(std::vector<float>(kInputs, 1.5f));
  const std::vector<std::function<void()>> writers = {
      [&] { backend.Scale(2, x.rows(1, 1)); },
      [&] { backend.AddBias(*weight_of_one, x.all()); },
      [&] { backend.Add(x.all(), x.all(), x.all()); },
      [&] { backend.RmsNorm(x.all(), *weight_of_one, 1e-5f, x.all()); },
      [&] { backend.AddRmsNorm(x.all(), y.all(), *weight_of_one, 1e-5f, x.all(), z.all()); },
      [&] { backend.AddRmsNorm(y.all(), y.all(), *weight_of_one, 1e-5f, z.all(), x.all()); },
      [&] {
        backend.Rope({RopePairing::kAdjacent, 8}, 8, {3, 4}, x.all());
      },
      [&] { backend.GatedActivation(Activation::kSilu, x.all(), x.all(), x.all()); },
      [&] {
        backend.Embed(*weight, {1, 2}, x.all());
      },
      [&] { backend.MatMul(*weight, y.all(), x.all()); },
      [&] {
        backend.Tap(x.all(), true, [](absl::Span<float> values, int64_t, int64_t) {
          values[0] += 1;
          return absl::OkStatus();
        });
      }};
  for (const auto& write : writers) {
    backend.MatMul(*weight, x.all(), y.all());
    write();
    backend.MatMul(*weight, x.all(), y.all());
    const std::vector<float> product = y.Read();
    const Bench fresh;
    auto same = *fresh.backend->LoadWeight({"w", DType::kQ8_0, kInputs, kInputs, bytes});
    const DeviceMatrix copy(*fresh.backend, x.Read(), 2), expected(*fresh.backend, 2, kInputs);
    fresh.backend->MatMul(*same, copy.all(), expected.all());
    EXPECT_TRUE(SameBits(expected.Read(), product));
  }
}

// Kernels run by `ops`, and what they leave in y and z.
struct Traced {
  int64_t kernels;
  std::vector<float> y, z;
};

template <typename Ops>
Traced Trace(Order order, Numerics numerics, int64_t rows, int64_t cols, const Ops& ops) {
  const Bench bench(numerics, kTileElements, {.order = order});
  const DeviceMatrix x(*bench.backend, RandomFloats(rows * cols, 1, 3.0f), rows);
  const DeviceMatrix y(*bench.backend, RandomFloats(rows * cols, 2, 3.0f), rows);
  const DeviceMatrix z(*bench.backend, rows, cols);
  const int64_t before = emulation::KernelsRun();
  ops(*bench.backend, x.all(), y.all(), z.all());
  const int64_t kernels = emulation::KernelsRun() - before;
  return {kernels, y.Read(), z.Read()};
}

TEST(CudaBackendTest, AResidualIsAddedWithTheNormInOneKernelToTheSameBits) {
  for (const Order order : {Order::kForward, Order::kReverse}) {
    for (const Numerics numerics : {Numerics::kNative, Numerics::kF32}) {
      for (const int64_t size : {13, 78, 390}) {  // heads of a row and whole rows, a warp's and a
                                                  // block's
        const auto trace = [&](bool fused) {
          return Trace(order, numerics, 3, 390,
                       [&](CudaBackend& backend, Matrix x, Matrix y, Matrix z) {
                         const auto norm = *backend.LoadVector(RandomFloats(size, 3));
                         if (fused) return backend.AddRmsNorm(x, y, *norm, 1e-5f, y, z);
                         backend.Add(x, y, y);
                         backend.RmsNorm(y, *norm, 1e-5f, z);
                       });
        };
        const Traced one = trace(true), two = trace(false);
        EXPECT_EQ(one.kernels, 1);
        EXPECT_EQ(two.kernels, 2);
        EXPECT_TRUE(SameBits(two.y, one.y)) << size;
        EXPECT_TRUE(SameBits(two.z, one.z)) << size;
      }
    }
  }
}

TEST(CudaBackendTest, ABiasIsAddedWithTheProductToTheSameBits) {
  constexpr int64_t kSize = 96;
  for (const Order order : {Order::kForward, Order::kReverse}) {
    for (const Numerics numerics : {Numerics::kNative, Numerics::kF32}) {
      for (const DType dtype : {DType::kQ4_1, DType::kQ8_0, DType::kBF16}) {
        for (const int64_t rows : {1, 3, 9}) {
          const auto trace = [&](bool fused) {
            return Trace(
                order, numerics, rows, kSize,
                [&](CudaBackend& backend, Matrix x, Matrix, Matrix z) {
                  const std::vector<uint8_t> bytes = RandomWeight(dtype, kSize, kSize, 5);
                  const auto weight = *backend.LoadWeight({"w", dtype, kSize, kSize, bytes});
                  const auto bias = *backend.LoadVector(RandomFloats(kSize, 3));
                  if (fused) return backend.MatMulBias(*weight, *bias, x, z);
                  backend.MatMul(*weight, x, z);
                  backend.AddBias(*bias, z);
                });
          };
          const Traced one = trace(true), two = trace(false);
          // A long step's product is a library's, which knows no bias.
          EXPECT_EQ(one.kernels, two.kernels - (rows <= kMostVectorRows ? 1 : 0)) << rows;
          EXPECT_TRUE(SameBits(two.z, one.z)) << rows;
        }
      }
    }
  }
}

TEST(CudaBackendTest, OnlyTheLargestValuesTravel) {
  constexpr int64_t kCols = 9001, kRows = 2;
  const Bench bench;
  const DeviceMatrix x(*bench.backend, RandomFloats(kRows * kCols, 1, 9.0f), kRows);
  std::vector<TopValues> top(kRows);
  const int64_t before = bench.device->downloaded();
  bench.backend->TopK(x.all(), 40, absl::MakeSpan(top));
  // Of each row the keys, and a sum of each of three slices.
  EXPECT_EQ(bench.device->downloaded() - before, kRows * (40 * 8 + 3 * 16));
  EXPECT_EQ(top[1].values.size(), 40);
}

TEST(CudaBackendTest, ABrokenDevicesLargestValuesAreItsError) {
  const Bench bench;
  const DeviceMatrix x(*bench.backend, RandomFloats(2 * 8, 1), 2);
  bench.device->Break(absl::InternalError("an illegal memory access"));
  std::vector<TopValues> top(2);
  bench.backend->TopK(x.all(), 3, absl::MakeSpan(top));
  EXPECT_THAT(bench.backend->TakeStatus(),
              StatusIs(absl::StatusCode::kInternal, HasSubstr("an illegal memory access")));
}

TEST(CudaBackendTest, TheTileOfADenseProductDoesNotMatter) {
  for (Numerics numerics : {Numerics::kNative, Numerics::kF32}) {
    for (DType dtype : {DType::kQ4_0, DType::kBF16}) {
      const Bench whole(numerics), pieces(numerics, 5 * 96), rows(numerics, 1);
      const std::vector<float> expected = Product(*whole.backend, dtype, 11, 11);
      EXPECT_TRUE(SameBits(expected, Product(*pieces.backend, dtype, 11, 11)));
      EXPECT_TRUE(SameBits(expected, Product(*rows.backend, dtype, 11, 11)));
    }
  }
}

// Activations of models reach 1e5; halves end at 65504.
TEST(CudaBackendTest, LargeActivationsDoNotOverflowHalves) {
  const Bench bench;
  CudaBackend& backend = *bench.backend;
  const std::vector<uint8_t> bytes = RandomWeight(DType::kQ8_0, 4, 32, 5);
  auto weight = *backend.LoadWeight({"w", DType::kQ8_0, 4, 32, bytes});
  std::vector<float> small = RandomFloats(9 * 32, 6), large = small;
  for (float& v : large) v *= 0x1p30f;
  const DeviceMatrix out(backend, 9, 4);
  backend.MatMul(*weight, DeviceMatrix(backend, small, 9).all(), out.all());
  std::vector<float> expected = out.Read();
  for (float& v : expected) v *= 0x1p30f;
  backend.MatMul(*weight, DeviceMatrix(backend, large, 9).all(), out.all());
  EXPECT_TRUE(SameBits(expected, out.Read()));
}

TEST(CudaBackendTest, WhatIsNotFiniteShowsAndStaysInItsRow) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float infinity = std::numeric_limits<float>::infinity();
  for (int64_t rows : {2, 9}) {
    for (float bad : {nan, infinity}) {
      const Bench bench;
      CudaBackend& backend = *bench.backend;
      const std::vector<uint8_t> bytes = RandomWeight(DType::kQ4_1, 3, 64, 5);
      auto weight = *backend.LoadWeight({"w", DType::kQ4_1, 3, 64, bytes});
      std::vector<float> x = RandomFloats(rows * 64, 6);
      x[64 + 40] = bad;
      const DeviceMatrix out(backend, rows, 3);
      backend.MatMul(*weight, DeviceMatrix(backend, x, rows).all(), out.all());
      const std::vector<float> result = out.Read();
      for (int64_t i = 0; i < rows * 3; ++i) EXPECT_EQ(std::isfinite(result[i]), i / 3 != 1) << i;
    }
  }
}

// A key or a value that is not a number reaches the rows that see it, and no row before it.
TEST(CudaBackendTest, AttentionSeesNothingAfterItsPosition) {
  for (int64_t rows : {4, 20}) {
    const Bench bench;
    CudaBackend& backend = *bench.backend;
    auto cache = *backend.NewKvCache({1, 1, 4, 32, KvType::kF16});
    std::vector<float> values = RandomFloats(rows * 4, 3);
    values[2 * 4 + 1] = std::numeric_limits<float>::quiet_NaN();
    const DeviceMatrix q(backend, RandomFloats(rows * 4, 1), rows);
    const DeviceMatrix k(backend, RandomFloats(rows * 4, 2), rows);
    const DeviceMatrix v(backend, values, rows);
    const DeviceMatrix out(backend, rows, 4);
    std::vector<RowPlace> places;
    for (int32_t t = 0; t < rows; ++t) places.push_back({cache.get(), t});
    backend.AppendKv(0, k.all(), v.all(), places);
    backend.Attention({0, 1, 1, 4, 0.5f, 0}, q.all(), places, out.all());
    const std::vector<float> result = out.Read();
    for (int64_t i = 0; i < rows * 4; ++i) {
      EXPECT_EQ(std::isnan(result[i]), i / 4 >= 2 && i % 4 == 1) << i;
    }
  }
}

// Sessions that share a step stand at different positions: one sees a single split, another
// several, through a window or not.
TEST(CudaBackendTest, ARowsAttentionDoesNotKnowTheOtherRowsOfTheStep) {
  constexpr int32_t kSize = 8, kLast[] = {10, 300, 511};
  for (const Numerics numerics : {Numerics::kNative, Numerics::kF32}) {
    for (const int32_t window : {0, 40}) {
      const Bench bench(numerics);
      CudaBackend& backend = *bench.backend;
      std::vector<std::unique_ptr<KvCache>> caches;
      std::vector<RowPlace> places;
      for (const int32_t last : kLast) {
        caches.push_back(*backend.NewKvCache({1, 1, kSize, 512, KvType::kF16}));
        const DeviceMatrix k(backend, RandomFloats((last + 1) * kSize, 2, 2.0f), last + 1);
        const DeviceMatrix v(backend, RandomFloats((last + 1) * kSize, 3), last + 1);
        std::vector<RowPlace> all;
        for (int32_t t = 0; t <= last; ++t) all.push_back({caches.back().get(), t});
        backend.AppendKv(0, k.all(), v.all(), all);
        places.push_back({caches.back().get(), last});
      }
      const DeviceMatrix q(backend, RandomFloats(3 * kSize, 1), 3), out(backend, 3, kSize);
      const AttentionSpec spec = {0, 1, 1, kSize, 0.5f, window};
      backend.Attention(spec, q.all(), places, out.all());
      const std::vector<float> together = out.Read();
      for (int64_t t = 0; t < 3; ++t) {
        backend.Attention(spec, q.rows(t, 1), {places[t]}, out.rows(t, 1));
      }
      EXPECT_TRUE(SameBits(together, out.Read())) << "window " << window;
    }
  }
}

TEST(CudaBackendTest, ASubstitutingTapIsWhatTheNextOpReads) {
  const Bench bench;
  CudaBackend& backend = *bench.backend;
  const DeviceMatrix x(backend, std::vector<float>{1, 2, 3}, 1);
  backend.Tap(x.all(), true, [](absl::Span<float> values, int64_t, int64_t) {
    values[1] = 7;
    return absl::OkStatus();
  });
  backend.Tap(x.all(), false, [](absl::Span<float> values, int64_t, int64_t) {
    values[2] = 9;  // nobody reads it
    return absl::OkStatus();
  });
  backend.Scale(2, x.all());
  EXPECT_EQ(x.Read(), (std::vector<float>{2, 14, 6}));
}

TEST(CudaBackendTest, ASinksErrorEndsTheStepAndIsTakenOnce) {
  const Bench bench;
  CudaBackend& backend = *bench.backend;
  const DeviceMatrix x(backend, std::vector<float>{1}, 1);
  backend.Tap(x.all(), false, [](auto, auto, auto) { return absl::AbortedError("enough"); });
  backend.Scale(2, x.all());
  EXPECT_THAT(backend.TakeStatus(), StatusIs(absl::StatusCode::kAborted, HasSubstr("enough")));
  EXPECT_THAT(backend.TakeStatus(), IsOk());
  EXPECT_EQ(x.Read(), (std::vector<float>{1}));
}

TEST(CudaBackendTest, ABrokenDeviceStaysBrokenAndShowsNothing) {
  const Bench bench;
  CudaBackend& backend = *bench.backend;
  const DeviceMatrix x(backend, std::vector<float>{1}, 1);
  bench.device->Break(absl::InternalError("an illegal memory access"));
  bool observed = false;
  backend.Tap(x.all(), false, [&](auto, auto, auto) {
    observed = true;
    return absl::OkStatus();
  });
  EXPECT_FALSE(observed);
  EXPECT_EQ(bench.broken, 1);
  for (int i = 0; i < 2; ++i) {
    backend.Scale(2, x.all());
    EXPECT_THAT(backend.TakeStatus(),
                StatusIs(absl::StatusCode::kInternal, HasSubstr("an illegal memory access")));
  }
  EXPECT_EQ(bench.broken, 1);
}

TEST(CudaBackendTest, WhatDoesNotFitIsRefusedWithBothFigures) {
  const Bench bench(Numerics::kNative, kTileElements, {.memory_bytes = 1000});
  CudaBackend& backend = *bench.backend;
  EXPECT_THAT(backend.NewBuffer(251), StatusIs(absl::StatusCode::kResourceExhausted,
                                               HasSubstr("1004 bytes of device memory needed, "
                                                         "1000 free")));
  EXPECT_THAT(backend.NewBuffer(int64_t{1} << 62),
              StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("1000 free")));
  EXPECT_THAT(backend.NewKvCache({1 << 20, 1 << 20, 256, 1 << 20, KvType::kF32}),
              StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("KV cache of 1048576")));
  auto buffer = backend.NewBuffer(250);
  EXPECT_THAT(buffer, IsOk());
  EXPECT_EQ(bench.device->memory().held_bytes, 1000);
  buffer->reset();
  EXPECT_EQ(bench.device->memory().held_bytes, 0);
}

TEST(CudaBackendTest, MemoryMissingInTheMiddleOfAStepIsItsError) {
  const Bench bench(Numerics::kNative, kTileElements, {.memory_bytes = 5000});
  CudaBackend& backend = *bench.backend;
  const std::vector<uint8_t> bytes = RandomWeight(DType::kQ8_0, 2, 64, 5);
  auto weight = *backend.LoadWeight({"w", DType::kQ8_0, 2, 64, bytes});
  const DeviceMatrix x(backend, RandomFloats(16 * 64, 6), 16);
  const DeviceMatrix out(backend, 16, 2);
  backend.MatMul(*weight, x.all(), out.all());
  EXPECT_THAT(backend.TakeStatus(),
              StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("working memory")));
}

TEST(CudaBackendTest, AWeightOfTheWrongSizeIsRefused) {
  const Bench bench;
  const std::vector<uint8_t> bytes(33);
  EXPECT_THAT(bench.backend->LoadWeight({"blk.0.x", DType::kQ8_0, 1, 32, bytes}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("blk.0.x")));
  EXPECT_THAT(bench.backend->NewKvCache({1, 1, kMostHeadSize + 1, 8, KvType::kF16}),
              StatusIs(absl::StatusCode::kUnimplemented, HasSubstr("heads of 513")));
}

TEST(CudaBackendTest, WhatTheLayersShareIsUploadedOnce) {
  const Bench bench;
  CudaBackend& backend = *bench.backend;
  const DeviceMatrix x(backend, RandomFloats(2 * 8, 6), 2);
  const std::vector<int32_t> positions = {3, 4};
  const RopeSpec rope = {RopePairing::kAdjacent, 8};
  backend.Rope(rope, 8, positions, x.all());
  const int64_t before = bench.device->uploaded();
  for (int layer = 0; layer < 5; ++layer) backend.Rope(rope, 8, positions, x.all());
  EXPECT_EQ(bench.device->uploaded(), before);
  backend.Rope(rope, 8, {3, 5}, x.all());
  EXPECT_EQ(bench.device->uploaded(), before + 8);
}

}  // namespace
}  // namespace parity::kernels::cuda
