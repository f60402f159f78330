// Keys and values of one sequence as the CPU's attention reads them.
#ifndef PARITY_KERNELS_CPU_KV_CACHE_H_
#define PARITY_KERNELS_CPU_KV_CACHE_H_

#include <cstdint>
#include <memory>

#include "absl/status/statusor.h"
#include "kernels/backend.h"
#include "kernels/cpu/vector_ops.h"

namespace parity::kernels {

// Per layer and key/value head: keys as [capacity / 16][K][16] (lanes are positions), values as
// [capacity][stride] (lanes are dimensions), capacity rounded up to 16. Fresh memory is zero and
// costs nothing until written. Threading: Append from one thread at a time, different heads from
// different threads; reads beside reads.
class CpuKvCache : public KvCache {
 public:
  // RESOURCE_EXHAUSTED naming the bytes when memory is short; INVALID_ARGUMENT for sizes below 1.
  static absl::StatusOr<std::unique_ptr<CpuKvCache>> Create(const KvShape& shape);
  ~CpuKvCache() override;

  int32_t capacity() const override { return shape_.capacity; }
  int64_t resident_bytes() const override { return bytes_; }
  const KvShape& shape() const { return shape_; }
  int64_t value_stride() const { return value_stride_; }

  // REQUIRES: sizeof(E) is the type's: uint16_t for kF16, float for kF32.
  template <typename E>
  const E* keys(int32_t layer, int32_t head) const {
    return static_cast<const E*>(memory_) + Offset(layer, head);
  }
  template <typename E>
  const E* values(int32_t layer, int32_t head) const {
    return keys<E>(layer, head) + padded_capacity_ * shape_.head_size;
  }

  // Stores one head's k and v ([head_size] each). REQUIRES: indices in range.
  void Append(const VectorOps& ops, int32_t layer, int32_t head, int32_t position, const float* k,
              const float* v);

 private:
  CpuKvCache(const KvShape& shape, void* memory, int64_t bytes);
  // Elements before the keys of (layer, head).
  int64_t Offset(int32_t layer, int32_t head) const {
    return (int64_t{layer} * shape_.kv_heads + head) * padded_capacity_ *
           (shape_.head_size + value_stride_);
  }

  KvShape shape_;
  int64_t padded_capacity_;
  int64_t value_stride_;
  void* memory_;
  int64_t bytes_;
};

}  // namespace parity::kernels

#endif  // PARITY_KERNELS_CPU_KV_CACHE_H_
