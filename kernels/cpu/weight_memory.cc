#include "kernels/cpu/weight_memory.h"

#include <glog/logging.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <limits>

namespace parity::kernels {
namespace {

constexpr int64_t kAlignment = 64;
constexpr int64_t kHugePage = int64_t{2} << 20;  // bytes, x86-64

int64_t RoundUp(int64_t n, int64_t unit) { return (n + unit - 1) / unit * unit; }

}  // namespace

std::shared_ptr<uint8_t> WeightMemory::Allocate(int64_t bytes) {
  CHECK_GE(bytes, 1);
  if (bytes > std::numeric_limits<int64_t>::max() - 2 * kHugePage) return nullptr;
  const int64_t size = RoundUp(bytes, kAlignment);
  if (size > left_) {
    const int64_t piece_bytes = RoundUp(std::max(size, piece_bytes_), kHugePage);
    void* memory = nullptr;
    if (posix_memalign(&memory, kHugePage, piece_bytes) != 0) return nullptr;
    madvise(memory, piece_bytes, MADV_HUGEPAGE);  // only advice
    piece_.reset(static_cast<uint8_t*>(memory), std::free);
    left_ = piece_bytes;
    next_ = piece_.get();
  }
  const std::shared_ptr<uint8_t> allocated(piece_, next_);
  next_ += size;
  left_ -= size;
  return allocated;
}

}  // namespace parity::kernels
