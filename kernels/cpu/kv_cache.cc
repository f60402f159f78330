#include "kernels/cpu/kv_cache.h"

#include <glog/logging.h>
#include <sys/mman.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "kernels/cpu/rounding.h"

namespace parity::kernels {
absl::StatusOr<std::unique_ptr<CpuKvCache>> CpuKvCache::Create(const KvShape& shape) {
  if (shape.layers < 1 || shape.kv_heads < 1 || shape.head_size < 1 || shape.capacity < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("KV cache of ", shape.layers, " layers, ", shape.kv_heads, " heads of ",
                     shape.head_size, ", ", shape.capacity, " positions: all must be at least 1"));
  }
  const __int128 needed = static_cast<__int128>(shape.layers) * shape.kv_heads *
                          RoundUp(shape.capacity, kKeyBlock) *
                          (shape.head_size + RoundUp(shape.head_size, kValueStep)) *
                          (shape.type == KvType::kF16 ? 2 : 4);
  if (needed > __int128{1} << 60) {
    return absl::ResourceExhaustedError("KV cache of more than 2^60 bytes");
  }
  const int64_t bytes = static_cast<int64_t>(needed);
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) {
    return absl::ResourceExhaustedError(absl::StrCat("no memory for a KV cache of ", bytes,
                                                     " bytes (", shape.capacity,
                                                     " positions): ", std::strerror(errno)));
  }
  return std::unique_ptr<CpuKvCache>(new CpuKvCache(shape, memory, bytes));
}

CpuKvCache::CpuKvCache(const KvShape& shape, void* memory, int64_t bytes)
    : shape_(shape),
      padded_capacity_(RoundUp(shape.capacity, kKeyBlock)),
      value_stride_(RoundUp(shape.head_size, kValueStep)),
      memory_(memory),
      bytes_(bytes) {}

CpuKvCache::~CpuKvCache() { munmap(memory_, bytes_); }

void CpuKvCache::Append(const VectorOps& ops, int32_t layer, int32_t head, int32_t position,
                        const float* k, const float* v) {
  CHECK(layer >= 0 && layer < shape_.layers && head >= 0 && head < shape_.kv_heads);
  CHECK(position >= 0 && position < shape_.capacity) << position;
  const int64_t size = shape_.head_size;
  // Of this position's lane within its block of keys, and of its row of values.
  const int64_t lane = position / kKeyBlock * size * kKeyBlock + position % kKeyBlock;
  const int64_t row = position * value_stride_;
  if (shape_.type == KvType::kF32) {
    float* keys_out = const_cast<float*>(keys<float>(layer, head)) + lane;
    for (int64_t i = 0; i < size; ++i) keys_out[i * kKeyBlock] = k[i];
    std::memcpy(const_cast<float*>(values<float>(layer, head)) + row, v, size * sizeof(float));
    return;
  }
  uint16_t* keys_out = const_cast<uint16_t*>(keys<uint16_t>(layer, head)) + lane;
  uint16_t* values_out = const_cast<uint16_t*>(values<uint16_t>(layer, head)) + row;
  ops.to_halves(k, size, values_out);  // borrowed: the values follow
  for (int64_t i = 0; i < size; ++i) keys_out[i * kKeyBlock] = values_out[i];
  ops.to_halves(v, size, values_out);
}

}  // namespace parity::kernels
