#include "kernels/cpu/rope.h"

#include <cmath>
#include <vector>

#include "gtest/gtest.h"

namespace parity::kernels {
namespace {

RopeSpec Spec(float base) {
  RopeSpec spec;
  spec.dims = 4;
  spec.base = base;
  return spec;
}

std::vector<float> Rotated(const RopeTable& table, int64_t t) {
  std::vector<float> x = {1, 0, 1, 0};
  table.Rotate(t, 1, 4, x.data());
  return x;
}

TEST(RopeTableTest, PositionZeroIsTheIdentity) {
  for (Numerics numerics : {Numerics::kNative, Numerics::kF32}) {
    RopeTable table;
    table.Prepare(Spec(10000.0f), numerics, {}, {0});
    EXPECT_EQ(Rotated(table, 0), (std::vector<float>{1, 0, 1, 0}));
  }
}

TEST(RopeTableTest, AnglesFallByTheBase) {
  RopeTable table;
  table.Prepare(Spec(100.0f), Numerics::kF32, {}, {3, 5});
  const std::vector<float> x = Rotated(table, 1);
  EXPECT_FLOAT_EQ(x[0], std::cos(5.0));
  EXPECT_FLOAT_EQ(x[1], std::sin(5.0));
  EXPECT_FLOAT_EQ(x[2], std::cos(0.5));
  EXPECT_FLOAT_EQ(x[3], std::sin(0.5));
}

TEST(RopeTableTest, AnotherStepsTableIsNotReused) {
  RopeTable table;
  table.Prepare(Spec(100.0f), Numerics::kNative, {}, {3});
  const std::vector<float> first = Rotated(table, 0);
  table.Prepare(Spec(50.0f), Numerics::kNative, {}, {3});
  EXPECT_NE(Rotated(table, 0), first);
  table.Prepare(Spec(100.0f), Numerics::kNative, {}, {4});
  EXPECT_NE(Rotated(table, 0), first);
  const std::vector<float> factors = {2.0f, 2.0f};
  table.Prepare(Spec(100.0f), Numerics::kNative, factors, {3});
  EXPECT_NE(Rotated(table, 0), first);
  table.Prepare(Spec(100.0f), Numerics::kF32, {}, {3});
  table.Prepare(Spec(100.0f), Numerics::kNative, {}, {3});
  EXPECT_EQ(Rotated(table, 0), first);
}

TEST(RopeTableTest, FactorsAndFrequencyScaleDivideAndMultiplyTheAngle) {
  RopeTable table;
  RopeSpec spec = Spec(1.0f);
  spec.freq_scale = 0.25f;
  const std::vector<float> factors = {1.0f, 4.0f};
  table.Prepare(spec, Numerics::kNative, factors, {8});
  const std::vector<float> x = Rotated(table, 0);
  EXPECT_FLOAT_EQ(x[0], std::cos(2.0f));
  EXPECT_FLOAT_EQ(x[2], std::cos(0.5f));
}

// Layers with and without a window ask in turn; a third spec takes the place of the older one.
TEST(RopeTableTest, TablesOfSeveralSpecsDoNotMixUp) {
  const std::vector<int32_t> positions = {5};
  RopeTable shared;
  for (float base : {1e6f, 1e4f, 1e6f, 500.0f, 1e4f, 1e6f}) {
    const RopeSpec spec = {RopePairing::kHalfSplit, 4, base, 1.0f, nullptr};
    std::vector<float> x = {1, 2, 3, 4}, expected = x;
    RopeTable alone;
    alone.Prepare(spec, Numerics::kNative, {}, positions);
    alone.Rotate(0, 1, 4, expected.data());
    shared.Prepare(spec, Numerics::kNative, {}, positions);
    shared.Rotate(0, 1, 4, x.data());
    EXPECT_EQ(x, expected) << base;
  }
}

}  // namespace
}  // namespace parity::kernels
