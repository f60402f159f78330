// Threads that run the pieces of one op: they spin briefly between ops and sleep when there is
// nothing to do.
#ifndef PARITY_KERNELS_CPU_THREAD_POOL_H_
#define PARITY_KERNELS_CPU_THREAD_POOL_H_

#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

#include "absl/functional/function_ref.h"

namespace parity::kernels {

// Threading: Run is called by one thread at a time and never from inside a body. Pieces are claimed
// dynamically, so a thread that was descheduled delays at most the piece it holds, and a caller
// whose helpers are asleep does the work itself. Which thread runs a piece is not reproducible; an
// op's bits must not depend on it.
class ThreadPool {
 public:
  // `threads` counts the caller: threads - 1 helpers are started. REQUIRES: threads >= 1.
  explicit ThreadPool(int threads);
  ~ThreadPool();

  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const { return static_cast<int>(helpers_.size()) + 1; }

  // Calls body(begin, end, thread) for consecutive ranges that cover [0, tasks) once each and
  // returns when all are done. thread is in [0, threads()), 0 the caller: an index for scratch
  // memory. Ranges hold at least `min_range` tasks (the last one may be shorter).
  void Run(int64_t tasks, absl::FunctionRef<void(int64_t begin, int64_t end, int thread)> body,
           int64_t min_range = 1);

 private:
  using Body = absl::FunctionRef<void(int64_t, int64_t, int)>;

  // Tells the helpers that something has changed, and wakes those that sleep.
  void Announce();
  void Help(int thread);
  // Claims and runs ranges until none is left.
  void Drain(int thread);

  // The current job. Written only while no range is claimed or claimable.
  const Body* body_ = nullptr;
  int64_t tasks_ = 0;
  int64_t range_ = 0;
  uint32_t ranges_ = 0;

  // Job number (high half) and ranges not yet claimed (low half), in one word: a helper that wakes
  // late can only claim from a job that is still open.
  alignas(64) std::atomic<uint64_t> open_{0};
  alignas(64) std::atomic<uint32_t> done_{0};
  alignas(64) std::atomic<uint32_t> job_{0};
  std::atomic<uint32_t> wakes_{0};    // what sleeping helpers wait on
  std::atomic<bool> asleep_{false};   // whether a helper may sleep that nobody has woken
  std::atomic<bool> waiting_{false};  // whether the caller sleeps on done_
  std::atomic<bool> stop_{false};
  std::vector<std::thread> helpers_;
};

}  // namespace parity::kernels

#endif  // PARITY_KERNELS_CPU_THREAD_POOL_H_
