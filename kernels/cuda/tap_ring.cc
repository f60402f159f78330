#include "kernels/cuda/tap_ring.h"

#include <glog/logging.h>

#include <algorithm>
#include <utility>

#include "proto/status/status_macros.h"

namespace parity::kernels::cuda {

absl::StatusOr<std::unique_ptr<TapRing>> TapRing::Create(Device& device, int64_t bytes) {
  ASSIGN_OR_RETURN(Block device_memory, Block::Allocate(device, bytes));
  ASSIGN_OR_RETURN(void* const host_memory, device.AllocateHost(bytes));
  return std::unique_ptr<TapRing>(new TapRing(device, std::move(device_memory), host_memory));
}

TapRing::TapRing(Device& device, Block device_memory, void* host_memory)
    : device_(device),
      device_memory_(std::move(device_memory)),
      host_memory_(static_cast<uint8_t*>(host_memory)),
      thread_([this] { ShowAll(); }) {}

TapRing::~TapRing() {
  {
    absl::MutexLock lock(&mutex_);
    closing_ = true;
  }
  thread_.join();
  device_.FreeHost(host_memory_);
}

int64_t TapRing::BytesOf(Matrix value) {
  return value.rows * value.cols * static_cast<int64_t>(sizeof(float));
}

int64_t TapRing::Place(int64_t bytes) const {
  const int64_t capacity = device_memory_.bytes();
  if (waiting_.empty()) return 0;
  if (waiting_.size() == Device::kMostCopiesAside) return -1;
  const int64_t begin = waiting_.front().offset;
  const int64_t end = waiting_.back().offset + BytesOf(waiting_.back().value);
  // What waits lies between begin and end, or wraps around the end of the memory.
  if (waiting_.back().offset < begin) return begin - end >= bytes ? end : -1;
  if (capacity - end >= bytes) return end;
  return begin >= bytes ? 0 : -1;
}

void TapRing::Push(Matrix value, TapSink sink) {
  CHECK(Fits(value));
  const int64_t bytes = BytesOf(value);
  const int slot = std::exchange(next_slot_, (next_slot_ + 1) % Device::kMostCopiesAside);
  int64_t offset = 0;
  {
    absl::MutexLock lock(&mutex_);
    wanted_ = bytes;
    mutex_.Await(absl::Condition(this, &TapRing::HasRoom));
    offset = Place(bytes);
  }
  device_.CopyAside(slot, value.data, bytes, device_memory_.as<uint8_t>() + offset,
                    host_memory_ + offset);
  absl::MutexLock lock(&mutex_);
  waiting_.push_back({slot, offset, value, std::move(sink)});
}

absl::Status TapRing::Drain() {
  absl::MutexLock lock(&mutex_);
  mutex_.Await(absl::Condition(this, &TapRing::IsEmpty));
  muted_ = false;
  return std::exchange(status_, absl::OkStatus());
}

void TapRing::ShowAll() {
  while (true) {
    const Entry* entry = nullptr;
    bool muted = false;
    {
      absl::MutexLock lock(&mutex_);
      mutex_.Await(absl::Condition(this, &TapRing::HasWork));
      if (waiting_.empty()) return;
      entry = &waiting_.front();  // stays where it is: a deque's ends move no others
      muted = muted_;
    }
    // What a failed card left would be observed as if it had been computed.
    const bool copied = device_.AwaitCopy(entry->slot);
    absl::Status status;
    if (copied && !muted) {
      auto* const values = reinterpret_cast<float*>(host_memory_ + entry->offset);
      const Matrix value = entry->value;
      status = entry->sink(absl::MakeSpan(values, value.rows * value.cols), value.rows, value.cols);
    }
    absl::MutexLock lock(&mutex_);
    if (!copied || !status.ok()) muted_ = true;
    if (status_.ok()) status_ = std::move(status);
    waiting_.pop_front();
  }
}

}  // namespace parity::kernels::cuda
