#include "tests/fuzz/memory_bound.h"

#include <gtest/gtest.h>

#include <memory>

namespace parity::fuzz {
namespace {

constexpr size_t kMiB = size_t{1} << 20;

// The pointer escapes, so that the compiler cannot leave the allocation out.
std::unique_ptr<char[]> Allocate(size_t bytes) {
  std::unique_ptr<char[]> block(new char[bytes]);
  char* pointer = block.get();
  asm volatile("" : "+r"(pointer) : : "memory");
  pointer[0] = 1;
  return block;
}

TEST(MemoryBoundTest, WhatIsFreedCountsNoMore) {
  const MemoryBound bound(kMiB);
  for (int i = 0; i < 8; ++i) EXPECT_EQ(Allocate(50 * kMiB)[0], 1);
}

TEST(MemoryBoundDeathTest, MoreThanTheInputAnd64MiBEndsTheProcess) {
  if (!CountsMemory()) GTEST_SKIP() << "allocations are counted under AddressSanitizer only";
  const auto grow = [](size_t input_bytes) {
    const MemoryBound bound(input_bytes);
    const auto first = Allocate(40 * kMiB);
    return Allocate(30 * kMiB)[0];
  };
  EXPECT_EQ(grow(8 * kMiB), 1);
  EXPECT_DEATH(grow(kMiB), "MemoryBound: .* bytes alive");
}

}  // namespace
}  // namespace parity::fuzz
