// Memory in which frames are made: large blocks that are used again, so that the engine's thread
// meets no page faults.
#ifndef PARITY_WORKER_CAPTURE_BLOCK_POOL_H_
#define PARITY_WORKER_CAPTURE_BLOCK_POOL_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace parity::capture {

// Pages that are touched for the first time cost 0.7 ms a MiB and more on a virtual machine: a
// millisecond for a token of a small model captured in full, which takes 5 to compute.
//
// Threading: thread-safe. Blocks may outlive every other holder of the pool.
class BlockPool : public std::enable_shared_from_this<BlockPool> {
 public:
  // Room for the largest usual tensors, logits of 1 MiB, without much waste at the end.
  static constexpr int64_t kBlockBytes = 4 << 20;

  // At most `keep_bytes` of blocks that nobody uses are kept.
  static std::shared_ptr<BlockPool> Create(int64_t keep_bytes);
  ~BlockPool();
  BlockPool(const BlockPool&) = delete;
  BlockPool& operator=(const BlockPool&) = delete;

  // Memory of kBlockBytes or, when that is more, `bytes`. It is given back with its last copy, from
  // whatever thread.
  std::shared_ptr<char> Take(int64_t bytes);

  // Makes blocks for `bytes` ready, at most what is kept, and touches their pages. Takes 0.5 ms a
  // MiB where nothing was ready.
  void Prepare(int64_t bytes);

  int64_t ready_blocks() const;

 private:
  explicit BlockPool(int64_t keep_bytes) : keep_blocks_(keep_bytes / kBlockBytes) {}
  void GiveBack(char* block);

  const int64_t keep_blocks_;
  mutable absl::Mutex mutex_;
  std::vector<char*> ready_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace parity::capture

#endif  // PARITY_WORKER_CAPTURE_BLOCK_POOL_H_
