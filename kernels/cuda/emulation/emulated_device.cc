#include "kernels/cuda/emulation/emulated_device.h"

#include <glog/logging.h>

#include <cmath>
#include <cstdlib>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "kernels/half.h"

namespace parity::kernels::cuda::emulation {
namespace {

float ElementAt(GemmType type, const void* values, int64_t at) {
  switch (type) {
    case GemmType::kFloat:
      return static_cast<const float*>(values)[at];
    case GemmType::kHalf:
      return HalfToFloat(static_cast<const uint16_t*>(values)[at]);
    case GemmType::kBf16:
      return Bf16ToFloat(static_cast<const uint16_t*>(values)[at]);
  }
  return NAN;
}

}  // namespace

absl::Status ReferenceGemm::Multiply(const GemmCall& call) {
  for (int64_t t = 0; t < call.rows; ++t) {
    for (int64_t r = 0; r < call.outputs; ++r) {
      float sum = 0;
      for (int64_t k = 0; k < call.inputs; ++k) {
        sum = std::fma(ElementAt(call.type, call.weight, r * call.inputs + k),
                       ElementAt(call.type, call.x, t * call.inputs + k), sum);
      }
      call.out[t * call.out_stride + r] = sum;
    }
  }
  return absl::OkStatus();
}

EmulatedDevice::EmulatedDevice(const EmulatedOptions& options) : options_(options) {}

EmulatedDevice::~EmulatedDevice() {
  CHECK(allocations_.empty()) << held_bytes_ << " bytes outlive their device";
}

DeviceMemory EmulatedDevice::memory() const {
  return {options_.memory_bytes - held_bytes_, held_bytes_};
}

absl::StatusOr<void*> EmulatedDevice::Allocate(int64_t bytes) {
  if (bytes > memory().free_bytes) {
    return absl::ResourceExhaustedError(absl::StrCat(bytes, " bytes of device memory needed, ",
                                                     memory().free_bytes, " free on emulation"));
  }
  // The size is kept exact: ASan's redzone starts at the next byte.
  void* memory = nullptr;
  CHECK_EQ(posix_memalign(&memory, 256, bytes), 0);
  std::memset(memory, 0xff, bytes);
  allocations_[memory] = bytes;
  held_bytes_ += bytes;
  return memory;
}

void EmulatedDevice::Free(void* memory) {
  const auto found = allocations_.find(memory);
  CHECK(found != allocations_.end());
  held_bytes_ -= found->second;
  allocations_.erase(found);
  std::free(memory);
}

void EmulatedDevice::Upload(const void* from, int64_t bytes, void* to) {
  if (!broken_.ok()) return;
  std::memcpy(to, from, bytes);
  uploaded_ += bytes;
}

void EmulatedDevice::Download(const void* from, int64_t bytes, void* to) {
  if (!broken_.ok()) return;
  std::memcpy(to, from, bytes);
  downloaded_ += bytes;
}

void EmulatedDevice::Zero(void* memory, int64_t bytes) {
  if (broken_.ok()) std::memset(memory, 0, bytes);
}

absl::Status EmulatedDevice::Wait() { return broken_; }

Stream& EmulatedDevice::stream() {
  SetOrder(options_.order);
  stream_.error = broken_.ok() ? 0 : 1;
  return stream_;
}

}  // namespace parity::kernels::cuda::emulation
