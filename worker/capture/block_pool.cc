#include "worker/capture/block_pool.h"

#include <sys/mman.h>

#include <algorithm>
#include <new>

namespace parity::capture {
namespace {

constexpr size_t kHugePage = 2 << 20;
constexpr std::align_val_t kAlignment{kHugePage};

char* Allocate(int64_t bytes) {
  const size_t size = (static_cast<size_t>(bytes) + kHugePage - 1) / kHugePage * kHugePage;
  void* memory = ::operator new(size, kAlignment);
  madvise(memory, size, MADV_HUGEPAGE);  // small pages do where there are no others
  return static_cast<char*>(memory);
}

void Free(char* block) { ::operator delete(block, kAlignment); }

// Older kernels lack MADV_POPULATE_WRITE, which is five times as fast as a write to each page.
void TouchPages(char* block) {
#ifdef MADV_POPULATE_WRITE
  if (madvise(block, BlockPool::kBlockBytes, MADV_POPULATE_WRITE) == 0) return;
#endif
  constexpr int64_t kPage = 4096;
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
