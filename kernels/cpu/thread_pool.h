// Threads that run the pieces of one op: they spin briefly between ops, sleep when there is nothing
// to do, and keep away from cores that somebody else needs.
#ifndef PARITY_KERNELS_CPU_THREAD_POOL_H_
#define PARITY_KERNELS_CPU_THREAD_POOL_H_

#include <atomic>
#include <chrono>
#include <cstdint>
#include <thread>
#include <vector>

#include "absl/functional/function_ref.h"

namespace parity::kernels {

// Threading: Run is called by one thread at a time and never from inside a body. Pieces are claimed
// dynamically, so a thread that was descheduled delays at most the piece it holds, and a caller
// whose helpers are asleep does the work itself. Which thread runs a piece is not reproducible; an
// op's bits must not depend on it.
//
// A piece whose thread lost its core to another process is late: everybody else is done and waits
// for milliseconds. One thread fewer takes part then for a while, longer each time that its return
// makes a piece late again.
class ThreadPool {
 public:
  using Clock = std::chrono::steady_clock;

  // When a piece is late, and what follows.
  struct Patience {
    // What the caller waits, beside twice the time of one of its own pieces: more than threads of
    // a quiet machine differ by, far less than a scheduler's time slice.
    Clock::duration wait = std::chrono::microseconds(100);
    // How long a thread stays away: at first, and at most. A try costs about one time slice (3 ms).
    Clock::duration first_absence = std::chrono::milliseconds(4);
    Clock::duration most_absence = std::chrono::milliseconds(256);
    // A piece that is late this soon after a return doubles the absence: several time slices.
    Clock::duration probation = std::chrono::milliseconds(50);
  };

  // `threads` counts the caller: threads - 1 helpers are started. REQUIRES: threads >= 1.
  explicit ThreadPool(int threads) : ThreadPool(threads, Patience()) {}
  ThreadPool(int threads, const Patience& patience);
  ~ThreadPool();

  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const { return static_cast<int>(helpers_.size()) + 1; }
  // Threads that take part at present, the caller included.
  int active() const { return active_.load(std::memory_order_relaxed); }

  // Calls body(begin, end, thread) for consecutive ranges that cover [0, tasks) once each and
  // returns when all are done. thread is in [0, threads()), 0 the caller: an index for scratch
  // memory. Ranges hold at least `min_range` tasks (the last one may be shorter).
  void Run(int64_t tasks, absl::FunctionRef<void(int64_t begin, int64_t end, int thread)> body,
           int64_t min_range = 1);

 private:
  using Body = absl::FunctionRef<void(int64_t, int64_t, int)>;

  void Help(int thread);
  // Claims and runs ranges until none is left; returns how many.
  int64_t Drain(int thread);
  // Waits until all ranges are done. The caller ran `own` of them since `start`.
  void Finish(Clock::time_point start, int64_t own);
  // Lets a thread take part again when its time has come.
  void Readmit(Clock::time_point now);
  // One thread fewer.
  void LeaveOut(Clock::time_point now);

  const Patience patience_;
  // Written by the caller; helpers from this number on stay away.
  std::atomic<int> active_;
  Clock::duration absence_;
  Clock::time_point returned_{};  // when a thread last did
  Clock::time_point back_at_{};   // when the next one may

  // The current job. Written only while no range is claimed or claimable.
  const Body* body_ = nullptr;
  int64_t tasks_ = 0;
  int64_t range_ = 0;
  uint32_t ranges_ = 0;

  // Job number (high half) and ranges not yet claimed (low half), in one word: a helper that wakes
  // late can only claim from a job that is still open.
  alignas(64) std::atomic<uint64_t> open_{0};
  alignas(64) std::atomic<uint32_t> done_{0};
  alignas(64) std::atomic<uint32_t> job_{0};  // what sleeping helpers wait on
  std::atomic<bool> stop_{false};
  std::vector<std::thread> helpers_;
};

}  // namespace parity::kernels

#endif  // PARITY_KERNELS_CPU_THREAD_POOL_H_
