#include "kernels/conformance/fixtures.h"

#include <cmath>
#include <limits>

#include "kernels/reference/reference_backend.h"

namespace parity::kernels::conformance {
namespace {

TEST(WithinTest, NamesTheElementFurthestBeyondItsBound) {
  EXPECT_TRUE(Within({1, 2}, {1, 2.5f}, {0, 0.5}));
  const auto result = Within({1, 2, 3}, {1.5f, 2, 4}, {1, 1, 0.5});
  EXPECT_FALSE(result);
  EXPECT_STREQ(result.message(), "element 2 of 3: expected 3, got 4, off by 1, bound 0.5");
  EXPECT_FALSE(Within({1}, {1, 2}, {0}));
}

TEST(WithinTest, ANanIsMatchedByANanOnly) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float infinity = std::numeric_limits<float>::infinity();
  EXPECT_TRUE(Within({nan, infinity}, {nan, infinity}, {0, 0}));
  EXPECT_FALSE(Within({nan}, {1}, {HUGE_VAL}));
  EXPECT_FALSE(Within({1}, {nan}, {HUGE_VAL}));
  EXPECT_FALSE(Within({infinity}, {-infinity}, {HUGE_VAL}));
}

TEST(SameBitsTest, TellsZerosApart) {
  EXPECT_TRUE(SameBits({0.0f, 1.0f}, {0.0f, 1.0f}));
  EXPECT_FALSE(SameBits({0.0f, 1.0f}, {-0.0f, 1.0f}));
  EXPECT_FALSE(SameBits({1.0f}, {std::nextafter(1.0f, 2.0f)}));
}

TEST(DeviceMatrixTest, HoldsWhatItWasGiven) {
  const auto backend = CreateReferenceBackend(Numerics::kF32);
  const DeviceMatrix m(*backend, {1, 2, 3, 4, 5, 6}, 3);
  EXPECT_EQ(m.Read(), (std::vector<float>{1, 2, 3, 4, 5, 6}));
  EXPECT_EQ(m.rows(1, 2).data - m.all().data, 2);
  EXPECT_EQ(m.all().cols, 2);
}

TEST(RandomWeightTest, EveryValueIsFinite) {
  const auto backend = CreateReferenceBackend(Numerics::kF32);
  for (const DTypeTraits& traits : AllDTypes()) {
    if (!traits.computable) continue;
    const std::vector<uint8_t> bytes = RandomWeight(traits.dtype, 2, 256, 3);
    auto weight = backend->LoadWeight({"w", traits.dtype, 2, 256, bytes});
    ASSERT_TRUE(weight.ok()) << weight.status();
    const DeviceMatrix out(*backend, 2, 256);
    backend->Embed(**weight, {0, 1}, out.all());
    for (float v : out.Read()) EXPECT_LT(std::fabs(v), 16.0f) << traits.name;
  }
}

}  // namespace
}  // namespace parity::kernels::conformance
