#include "kernels/cpu/weight_memory.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>
#include <vector>

namespace parity::kernels {
namespace {

constexpr int64_t kHugePage = int64_t{2} << 20;

TEST(WeightMemoryTest, WhatIsAllocatedIsAlignedAndDoesNotOverlap) {
  WeightMemory memory;
  const std::vector<int64_t> sizes = {1, 64, 65, 207360, 5, 3 * kHugePage + 1, 17 * kHugePage, 77};
  std::vector<std::shared_ptr<uint8_t>> all;
  for (size_t i = 0; i < sizes.size(); ++i) {
    all.push_back(memory.Allocate(sizes[i]));
    ASSERT_NE(all[i], nullptr);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(all[i].get()) % 64, 0u);
    std::memset(all[i].get(), static_cast<int>(i), sizes[i]);
  }
  for (size_t i = 0; i < sizes.size(); ++i) {
    const std::vector<uint8_t> expected(sizes[i], static_cast<uint8_t>(i));
    EXPECT_EQ(std::memcmp(all[i].get(), expected.data(), sizes[i]), 0) << i;
  }
}

TEST(WeightMemoryTest, SmallOnesShareHugePages) {
  WeightMemory memory;
  const auto first = memory.Allocate(207360);
  const auto second = memory.Allocate(207360);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(first.get()) % kHugePage, 0u);
  EXPECT_EQ(second.get() - first.get(), 207360);
}

TEST(WeightMemoryTest, WhatWasAllocatedOutlivesItsSourceAndItsNeighbours) {
  std::shared_ptr<uint8_t> kept;
  {
    WeightMemory memory;
    const auto gone = memory.Allocate(100);
    kept = memory.Allocate(100);
  }
  std::memset(kept.get(), 1, 100);
  EXPECT_EQ(kept.get()[99], 1);
}

TEST(WeightMemoryTest, TooMuchIsNull) {
  WeightMemory memory;
  EXPECT_EQ(memory.Allocate(std::numeric_limits<int64_t>::max()), nullptr);
  EXPECT_EQ(memory.Allocate(int64_t{1} << 60), nullptr);
  EXPECT_NE(memory.Allocate(1), nullptr);
}

}  // namespace
}  // namespace parity::kernels
