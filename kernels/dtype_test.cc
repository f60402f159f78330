#include "kernels/dtype.h"

#include <set>
#include <string>

#include "gtest/gtest.h"

namespace parity::kernels {
namespace {

TEST(DTypeTest, RowBytesAreThoseOfTheFile) {
  EXPECT_EQ(RowBytes(DType::kF32, 5), 20);
  EXPECT_EQ(RowBytes(DType::kBF16, 5), 10);
  EXPECT_EQ(RowBytes(DType::kQ4_0, 64), 36);
  EXPECT_EQ(RowBytes(DType::kQ4_1, 576), 360);
  EXPECT_EQ(RowBytes(DType::kQ8_0, 576), 612);
  EXPECT_EQ(RowBytes(DType::kQ6_K, 512), 420);
}

TEST(DTypeTest, IdsAndNamesAreFoundOnceEach) {
  std::set<std::string> names;
  for (const DTypeTraits& traits : AllDTypes()) {
    EXPECT_EQ(FindDType(static_cast<uint32_t>(traits.dtype)), &traits);
    EXPECT_EQ(&Traits(traits.dtype), &traits);
    EXPECT_TRUE(names.insert(traits.name).second) << traits.name;
  }
  EXPECT_EQ(FindDType(4), nullptr);  // Q4_2, removed from ggml
  EXPECT_EQ(FindDType(0xffffffffu), nullptr);
}

TEST(DTypeTest, EveryTypeOfTheTableHasProducts) {
  for (const DTypeTraits& traits : AllDTypes()) EXPECT_TRUE(traits.computable) << traits.name;
}

TEST(DTypeDeathTest, ARowIsWholeBlocks) { EXPECT_DEATH(RowBytes(DType::kQ4_0, 33), "Q4_0"); }

}  // namespace
}  // namespace parity::kernels
