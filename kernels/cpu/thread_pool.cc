#include "kernels/cpu/thread_pool.h"

#include <glog/logging.h>

#include <algorithm>
#include <chrono>

#include "kernels/cpu/rounding.h"

namespace parity::kernels {
namespace {

// Longer than the serial stretches between two ops of a decode step, far shorter than a scheduler's
// time slice.
constexpr std::chrono::microseconds kSpin(40);
// Clock reads are ~25 ns; 32 pauses are about 0.4-1.5 us.
constexpr int kPausesPerLook = 32;
// Ranges per thread: enough for a thread that lost its core to be overtaken, few enough that
// claiming costs nothing.
constexpr int64_t kRangesPerThread = 4;
constexpr uint64_t kLow = 0xffffffffu;

void Pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

// Spins until ready() or the time is over; returns whether it is ready.
template <typename Ready>
bool SpinUntil(Ready ready) {
  if (ready()) return true;
  const auto end = std::chrono::steady_clock::now() + kSpin;
  do {
    for (int i = 0; i < kPausesPerLook; ++i) {
      if (ready()) return true;
      Pause();
    }
  } while (std::chrono::steady_clock::now() < end);
  return false;
}

}  // namespace

ThreadPool::ThreadPool(int threads) {
  CHECK_GE(threads, 1);
  helpers_.reserve(threads - 1);
  for (int i = 1; i < threads; ++i) helpers_.emplace_back([this, i] { Help(i); });
}

ThreadPool::~ThreadPool() {
  stop_.store(true, std::memory_order_release);
  Announce();
  for (std::thread& helper : helpers_) helper.join();
}

void ThreadPool::Run(int64_t tasks, Body body, int64_t min_range) {
  if (tasks <= 0) return;
  const int64_t range =
      std::max({int64_t{1}, min_range, DivideUp(tasks, threads() * kRangesPerThread)});
  if (helpers_.empty() || tasks <= range) {
    body(0, tasks, 0);
    return;
  }
  body_ = &body;
  tasks_ = tasks;
  range_ = range;
  ranges_ = static_cast<uint32_t>(DivideUp(tasks, range));
  done_.store(0, std::memory_order_relaxed);
  const uint64_t number = (open_.load(std::memory_order_relaxed) >> 32) + 1;
  open_.store(number << 32 | ranges_, std::memory_order_release);
  Announce();
  Drain(0);
  const auto finished = [this] { return done_.load(std::memory_order_acquire) == ranges_; };
  if (SpinUntil(finished)) return;
  waiting_.store(true, std::memory_order_seq_cst);
  for (uint32_t seen; (seen = done_.load(std::memory_order_seq_cst)) != ranges_;) done_.wait(seen);
  waiting_.store(false, std::memory_order_relaxed);
}

void ThreadPool::Announce() {
  job_.fetch_add(1, std::memory_order_seq_cst);
  // Beside a busy core a helper that was woken runs some milliseconds later. It is not woken again
  // by every job until then: each time is a system call.
  if (!asleep_.load(std::memory_order_seq_cst)) return;
  asleep_.store(false, std::memory_order_seq_cst);
  wakes_.fetch_add(1, std::memory_order_seq_cst);
  wakes_.notify_all();
}

void ThreadPool::Drain(int thread) {
  uint64_t open = open_.load(std::memory_order_acquire);
  while ((open & kLow) != 0) {
    if (!open_.compare_exchange_weak(open, open - 1, std::memory_order_acq_rel)) continue;
    // The claimed range keeps the job open, so its fields hold still until it is counted.
    const uint32_t ranges = ranges_;
    const int64_t begin = range_ * (ranges - static_cast<int64_t>(open & kLow));
    (*body_)(begin, std::min(begin + range_, tasks_), thread);
    const bool last = done_.fetch_add(1, std::memory_order_seq_cst) + 1 == ranges;
    if (last && waiting_.load(std::memory_order_seq_cst)) done_.notify_one();
    open = open_.load(std::memory_order_acquire);
  }
}

void ThreadPool::Help(int thread) {
  uint32_t seen = 0;
  while (true) {
    const auto changed = [&] { return job_.load(std::memory_order_acquire) != seen; };
    while (!SpinUntil(changed)) {
      const uint32_t wakes = wakes_.load(std::memory_order_seq_cst);
      asleep_.store(true, std::memory_order_seq_cst);
      // Whoever takes the flag back, for this job or a later one, changes `wakes_` after that.
      if (job_.load(std::memory_order_seq_cst) == seen) wakes_.wait(wakes);
    }
    seen = job_.load(std::memory_order_acquire);
    if (stop_.load(std::memory_order_acquire)) return;
    Drain(thread);
  }
}

}  // namespace parity::kernels
