#include "worker/capture/block_pool.h"

#include <sys/mman.h>

#include <algorithm>
#include <new>

namespace parity::capture {
namespace {

// Not of huge pages: a virtual machine whose host takes free ones back pays up to 3 ms for 2 MiB.
constexpr int64_t kPage = 4096;
constexpr std::align_val_t kAlignment{kPage};

char* Allocate(int64_t bytes) {
  return static_cast<char*>(::operator new(static_cast<size_t>(bytes), kAlignment));
}

void Free(char* block) { ::operator delete(block, kAlignment); }

void TouchPages(char* block) {
#ifdef MADV_POPULATE_WRITE
  // One call for all is faster than a fault each; kernels before 5.14 do not know it.
  if (madvise(block, BlockPool::kBlockBytes, MADV_POPULATE_WRITE) == 0) return;
#endif
  for (int64_t i = 0; i < BlockPool::kBlockBytes; i += kPage) {
    static_cast<volatile char*>(block)[i] = 0;
  }
}

}  // namespace

std::shared_ptr<BlockPool> BlockPool::Create(int64_t keep_bytes) {
  return std::shared_ptr<BlockPool>(new BlockPool(keep_bytes));
}

BlockPool::~BlockPool() {
  for (char* block : ready_) Free(block);
}

std::shared_ptr<char> BlockPool::Take(int64_t bytes) {
  if (bytes > kBlockBytes) return {Allocate(bytes), Free};
  char* block = nullptr;
  {
    absl::MutexLock lock(&mutex_);
    if (!ready_.empty()) {
      block = ready_.back();
      ready_.pop_back();
    }
  }
  if (block == nullptr) block = Allocate(kBlockBytes);
  return {block, [pool = shared_from_this()](char* spent) { pool->GiveBack(spent); }};
}

void BlockPool::GiveBack(char* block) {
  {
    absl::MutexLock lock(&mutex_);
    if (static_cast<int64_t>(ready_.size()) < keep_blocks_) {
      ready_.push_back(block);
      return;
    }
  }
  Free(block);
}

void BlockPool::Prepare(int64_t bytes) {
  const int64_t wanted = std::min((bytes + kBlockBytes - 1) / kBlockBytes, keep_blocks_);
  for (int64_t ready = ready_blocks(); ready < wanted; ++ready) {
    char* block = Allocate(kBlockBytes);
    TouchPages(block);
    GiveBack(block);
  }
}

int64_t BlockPool::ready_blocks() const {
  absl::MutexLock lock(&mutex_);
  return static_cast<int64_t>(ready_.size());
}

}  // namespace parity::capture
