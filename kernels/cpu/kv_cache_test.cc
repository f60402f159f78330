#include "kernels/cpu/kv_cache.h"

#include <vector>

#include "gtest/gtest.h"
#include "kernels/half.h"

namespace parity::kernels {
namespace {

TEST(CpuKvCacheTest, KeysLieInBlocksOfPositionsAndValuesInRows) {
  const KvShape shape = {2, 2, 5, 20, KvType::kF16};
  auto cache = *CpuKvCache::Create(shape);
  const VectorOps& ops = VectorOpsFor(BestSimdPath());
  for (int32_t layer = 0; layer < 2; ++layer) {
    for (int32_t head = 0; head < 2; ++head) {
      for (int32_t position : {0, 15, 16, 19}) {
        std::vector<float> k(5), v(5);
        for (int i = 0; i < 5; ++i) {
          k[i] = static_cast<float>(1000 * layer + 500 * head + 10 * position + i);
          v[i] = -k[i];
        }
        cache->Append(ops, layer, head, position, k.data(), v.data());
      }
    }
  }
  EXPECT_EQ(cache->value_stride(), 16);
  for (int32_t layer = 0; layer < 2; ++layer) {
    for (int32_t head = 0; head < 2; ++head) {
      const uint16_t* keys = cache->keys<uint16_t>(layer, head);
      const uint16_t* values = cache->values<uint16_t>(layer, head);
      for (int32_t position : {0, 15, 16, 19}) {
        for (int i = 0; i < 5; ++i) {
          const float expected = static_cast<float>(1000 * layer + 500 * head + 10 * position + i);
          EXPECT_EQ(HalfToFloat(keys[position / 16 * 80 + i * 16 + position % 16]), expected);
          EXPECT_EQ(HalfToFloat(values[position * 16 + i]), -expected);
        }
        EXPECT_EQ(values[position * 16 + 5], 0);  // the padding
      }
    }
  }
}

TEST(CpuKvCacheTest, ReportsItsBytes) {
  auto cache = *CpuKvCache::Create({3, 2, 64, 100, KvType::kF16});
  EXPECT_EQ(cache->resident_bytes(), 3 * 2 * 112 * (64 + 64) * 2);
  EXPECT_EQ(cache->capacity(), 100);
}

TEST(CpuKvCacheTest, RefusesWhatCannotBeHeld) {
  const auto huge = CpuKvCache::Create({1024, 1024, 1 << 16, 1 << 30, KvType::kF32}).status();
  EXPECT_EQ(huge.code(), absl::StatusCode::kResourceExhausted);
  // 2^47 bytes are more than the address space of a process.
  const auto large = CpuKvCache::Create({1, 1, 1 << 14, 1 << 30, KvType::kF32}).status();
  EXPECT_EQ(large.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_NE(large.message().find("140737488355328 bytes"), std::string::npos) << large;
  EXPECT_EQ(CpuKvCache::Create({1, 1, 64, 0, KvType::kF16}).status().code(),
            absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace parity::kernels
