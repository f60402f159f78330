#include "kernels/cpu/weight_memory.h"

#include <glog/logging.h>
#include <sys/mman.h>

#include <algorithm>
#include <limits>

#include "kernels/cpu/rounding.h"

namespace parity::kernels {
namespace {

constexpr int64_t kAlignment = 64;
constexpr int64_t kHugePage = int64_t{2} << 20;  // bytes, x86-64

}  // namespace

std::shared_ptr<uint8_t> WeightMemory::Allocate(int64_t bytes) {
  CHECK_GE(bytes, 1);
  if (bytes > std::numeric_limits<int64_t>::max() - 3 * kHugePage) return nullptr;
  const int64_t size = RoundUp(bytes, kAlignment);
  if (size > left_) {
    const int64_t piece_bytes = RoundUp(std::max(size, piece_bytes_), kHugePage);
    const int64_t mapped_bytes = piece_bytes + kHugePage;  // for the alignment
    void* const mapped =
        mmap(nullptr, mapped_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapped == MAP_FAILED) return nullptr;
    const auto address = static_cast<int64_t>(reinterpret_cast<uintptr_t>(mapped));
    piece_.reset(static_cast<uint8_t*>(mapped) + (RoundUp(address, kHugePage) - address),
                 [mapped, mapped_bytes](uint8_t*) { munmap(mapped, mapped_bytes); });
    madvise(piece_.get(), piece_bytes, MADV_HUGEPAGE);  // only advice
    left_ = piece_bytes;
    next_ = piece_.get();
  }
  const std::shared_ptr<uint8_t> allocated(piece_, next_);
  next_ += size;
  left_ -= size;
  return allocated;
}

}  // namespace parity::kernels
