// What a Backend's caller holds, in device memory: weights, vectors, buffers, KV caches. Each frees
// itself; none may outlive its Device.
#ifndef PARITY_KERNELS_CUDA_DEVICE_MEMORY_H_
#define PARITY_KERNELS_CUDA_DEVICE_MEMORY_H_

#include <cstdint>
#include <memory>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "kernels/backend.h"
#include "kernels/cuda/device.h"
#include "kernels/cuda/weight_view.h"

namespace parity::kernels::cuda {

// One allocation.
class Block {
 public:
  Block() = default;
  // Errors: those of Device::Allocate.
  static absl::StatusOr<Block> Allocate(Device& device, int64_t bytes);
  Block(Block&& other) noexcept { *this = std::move(other); }
  Block& operator=(Block&& other) noexcept {
    std::swap(device_, other.device_);
    std::swap(memory_, other.memory_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~Block() {
    if (memory_ != nullptr) device_->Free(memory_);
  }

  template <typename T>
  T* as() const {
    return static_cast<T*>(memory_);
  }
  int64_t bytes() const { return bytes_; }

 private:
  Device* device_ = nullptr;
  void* memory_ = nullptr;
  int64_t bytes_ = 0;
};

class DeviceWeight : public Weight {
 public:
  // Cuts the blocks into bodies and sides (weight_view.h) and uploads them, a few MiB at a time.
  // UNIMPLEMENTED naming tensor and type, INVALID_ARGUMENT naming the tensor and its size,
  // RESOURCE_EXHAUSTED.
  static absl::StatusOr<std::unique_ptr<DeviceWeight>> Load(Device& device,
                                                            const WeightSource& source);
  int64_t resident_bytes() const override { return block_.bytes(); }
  const WeightView& view() const { return view_; }

 private:
  DeviceWeight(const WeightSource& source, Block block);

  Block block_;
  WeightView view_;
};

class DeviceVector : public Vector {
 public:
  static absl::StatusOr<std::unique_ptr<DeviceVector>> Load(Device& device,
                                                            absl::Span<const float> values);
  int64_t size() const override { return size_; }
  const float* data() const { return block_.as<float>(); }

 private:
  DeviceVector(Block block, int64_t size) : block_(std::move(block)), size_(size) {}

  Block block_;
  int64_t size_;
};

class DeviceBuffer : public Buffer {
 public:
  // Zeros.
  static absl::StatusOr<std::unique_ptr<DeviceBuffer>> Create(Device& device, int64_t elements);
  float* data() override { return block_.as<float>(); }
  int64_t elements() const override { return elements_; }

 private:
  DeviceBuffer(Block block, int64_t elements) : block_(std::move(block)), elements_(elements) {}

  Block block_;
  int64_t elements_;
};

// [layers][kv_heads][capacity][head_size] keys, then the same of values, halves or floats.
class DeviceKvCache : public KvCache {
 public:
  static absl::StatusOr<std::unique_ptr<DeviceKvCache>> Create(Device& device,
                                                               const KvShape& shape);
  int32_t capacity() const override { return shape_.capacity; }
  int64_t resident_bytes() const override { return block_.bytes(); }
  const KvShape& shape() const { return shape_; }
  void* keys() const { return block_.as<uint8_t>(); }
  void* values() const { return block_.as<uint8_t>() + block_.bytes() / 2; }

 private:
  DeviceKvCache(const KvShape& shape, Block block) : shape_(shape), block_(std::move(block)) {}

  KvShape shape_;
  Block block_;
};

}  // namespace parity::kernels::cuda

#endif  // PARITY_KERNELS_CUDA_DEVICE_MEMORY_H_
