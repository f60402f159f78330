#include "worker/capture/block_pool.h"

#include <cstring>
#include <thread>

#include "gtest/gtest.h"

namespace parity::capture {
namespace {

constexpr int64_t kBlock = BlockPool::kBlockBytes;

TEST(BlockPoolTest, WhatIsGivenBackIsUsedAgain) {
  const auto pool = BlockPool::Create(2 * kBlock);
  std::shared_ptr<char> block = pool->Take(1);
  const char* const first = block.get();
  std::memset(block.get(), 7, kBlock);
  block.reset();
  EXPECT_EQ(pool->ready_blocks(), 1);
  EXPECT_EQ(pool->Take(kBlock).get(), first);
}

TEST(BlockPoolTest, ABlockInUseIsNobodyElses) {
  const auto pool = BlockPool::Create(2 * kBlock);
  const std::shared_ptr<char> first = pool->Take(1);
  std::shared_ptr<char> copy = first;
  copy.reset();
  EXPECT_EQ(pool->ready_blocks(), 0);
  EXPECT_NE(pool->Take(1).get(), first.get());
}

TEST(BlockPoolTest, NoMoreIsKeptThanAgreed) {
  const auto pool = BlockPool::Create(2 * kBlock);
  { const auto a = pool->Take(1), b = pool->Take(1), c = pool->Take(1); }
  EXPECT_EQ(pool->ready_blocks(), 2);
  pool->Prepare(100 * kBlock);
  EXPECT_EQ(pool->ready_blocks(), 2);
}

TEST(BlockPoolTest, PrepareMakesReadyWhatIsMissing) {
  const auto pool = BlockPool::Create(8 * kBlock);
  pool->Prepare(2 * kBlock + 1);
  EXPECT_EQ(pool->ready_blocks(), 3);
  pool->Prepare(kBlock);
  EXPECT_EQ(pool->ready_blocks(), 3);
}

TEST(BlockPoolTest, MoreThanABlockIsMadeAndFreedOnItsOwn) {
  const auto pool = BlockPool::Create(2 * kBlock);
  {
    const std::shared_ptr<char> large = pool->Take(4 * kBlock + 1);
    std::memset(large.get(), 1, 4 * kBlock + 1);
  }
  EXPECT_EQ(pool->ready_blocks(), 0);
}

TEST(BlockPoolTest, ABlockOutlivesThePoolsOtherHolders) {
  auto pool = BlockPool::Create(2 * kBlock);
  std::shared_ptr<char> block = pool->Take(1);
  pool.reset();
  std::thread([moved = std::move(block)]() mutable {
    std::memset(moved.get(), 1, kBlock);
    EXPECT_EQ(moved.get()[kBlock - 1], 1);
    moved.reset();
  }).join();
}

}  // namespace
}  // namespace parity::capture
