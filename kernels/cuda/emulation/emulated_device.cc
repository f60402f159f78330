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
  return {options_.memory_bytes - held_bytes_, held_bytes_, true};
}

absl::StatusOr<void*> EmulatedDevice::Allocate(int64_t bytes) {
  CHECK(stream_.recorded == nullptr) << "an allocation inside a recording";
  if (bytes > memory().free_bytes) {
    return absl::ResourceExhaustedError(absl::StrCat(bytes, " bytes of device memory needed, ",
                                                     memory().free_bytes,
                                                     " free on emulation within "
                                                     "--gpu-memory-limit"));
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
  CHECK(stream_.recorded == nullptr) << "a copy inside a recording";
  if (!broken_.ok()) return;
  std::memcpy(to, from, bytes);
  uploaded_ += bytes;
}

void EmulatedDevice::Download(const void* from, int64_t bytes, void* to) {
  CHECK(stream_.recorded == nullptr) << "a copy inside a recording";
  if (!broken_.ok()) return;
  std::memcpy(to, from, bytes);
  downloaded_ += bytes;
}

void EmulatedDevice::Zero(void* memory, int64_t bytes) {
  CHECK(stream_.recorded == nullptr) << "a copy inside a recording";
  if (broken_.ok()) std::memset(memory, 0, bytes);
}

absl::StatusOr<void*> EmulatedDevice::AllocateHost(int64_t bytes) {
  void* memory = nullptr;
  CHECK_EQ(posix_memalign(&memory, 256, bytes), 0);
  std::memset(memory, 0xff, bytes);
  return memory;
}

void EmulatedDevice::FreeHost(void* memory) { std::free(memory); }

void EmulatedDevice::CopyAside(int slot, const void* from, int64_t bytes, void* staging, void* to) {
  CHECK(stream_.recorded == nullptr) << "a copy inside a recording";
  CopyUnderWay& copy = copies_[slot];
  CHECK(copy.to == nullptr) << "nobody has waited for the slot's last copy";
  if (broken_.ok()) std::memcpy(staging, from, bytes);
  copy = {broken_.ok() ? staging : nullptr, bytes, to};
}

bool EmulatedDevice::AwaitCopy(int slot) {
  const CopyUnderWay copy = std::exchange(copies_[slot], {});
  if (copy.from == nullptr) return false;
  std::memcpy(copy.to, copy.from, copy.bytes);
  return true;
}

absl::Status EmulatedDevice::Wait() {
  CHECK(stream_.recorded == nullptr) << "a wait inside a recording";
  const bool faulty =
      options_.fault_after_kernels > 0 && KernelsRun() >= options_.fault_after_kernels;
  if (faulty && broken_.ok() && stream_.first_kernel != nullptr) {
    // As CudaDevice says it.
    broken_ = absl::InternalError(absl::StrCat(
        "emulation: a planted fault at a wait, kernels since the last wait: ", stream_.first_kernel,
        " to ", stream_.last_kernel));
  }
  if (broken_.ok()) stream_.first_kernel = stream_.last_kernel = nullptr;
  return broken_;
}

struct EmulatedRecording : Recording {
  RecordedLaunches launches;
  const char* first_kernel;
  const char* last_kernel;
};

void EmulatedDevice::BeginRecording() {
  CHECK(stream_.recorded == nullptr);
  recorded_.clear();
  stream_.first_kernel = stream_.last_kernel = nullptr;
  stream_.recorded = &recorded_;
}

std::unique_ptr<Recording> EmulatedDevice::EndRecording() {
  CHECK(stream_.recorded != nullptr);
  stream_.recorded = nullptr;
  if (!broken_.ok()) return nullptr;
  auto recording = std::make_unique<EmulatedRecording>();
  recording->launches = std::move(recorded_);
  recording->first_kernel = stream_.first_kernel;
  recording->last_kernel = stream_.last_kernel;
  ++recordings_;
  return recording;
}

void EmulatedDevice::Replay(const Recording& recording) {
  SetOrder(options_.order);
  if (!broken_.ok()) return;
  ++replays_;
  const auto& emulated = static_cast<const EmulatedRecording&>(recording);
  if (stream_.first_kernel == nullptr) stream_.first_kernel = emulated.first_kernel;
  stream_.last_kernel = emulated.last_kernel;
  for (const auto& launch : emulated.launches) launch();
}

Stream& EmulatedDevice::stream() {
  SetOrder(options_.order);
  stream_.error = broken_.ok() ? 0 : 1;
  return stream_;
}

}  // namespace parity::kernels::cuda::emulation
