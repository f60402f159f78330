// How a generation is told to stop, and why.
#ifndef PARITY_WORKER_REQUEST_STOP_SIGNAL_H_
#define PARITY_WORKER_REQUEST_STOP_SIGNAL_H_

#include <atomic>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "parity/v1/worker.pb.h"

namespace parity::request {

// Threading: thread-safe.
class StopSignal {
 public:
  // `deadline` is when the caller stops listening; it is seen between steps, and by whoever calls
  // Stop().
  explicit StopSignal(absl::Time deadline = absl::InfiniteFuture()) : deadline_(deadline) {}

  // The first reason stands.
  void Stop(v1::FinishReason reason) {
    int expected = v1::FINISH_REASON_UNSPECIFIED;
    reason_.compare_exchange_strong(expected, reason);
    flag_.store(true, std::memory_order_release);
  }

  // Whether to stop now. Notices the deadline itself a little early, so that the last event still
  // gets through.
  bool Check() {
    constexpr absl::Duration kLastWords = absl::Milliseconds(20);
    if (!flag() && absl::Now() + kLastWords >= deadline_) Stop(v1::FINISH_REASON_DEADLINE);
    return flag();
  }

  const std::atomic<bool>& flag() const { return flag_; }
  v1::FinishReason reason() const { return static_cast<v1::FinishReason>(reason_.load()); }

 private:
  const absl::Time deadline_;
  std::atomic<bool> flag_{false};
  std::atomic<int> reason_{v1::FINISH_REASON_UNSPECIFIED};
};

}  // namespace parity::request

#endif  // PARITY_WORKER_REQUEST_STOP_SIGNAL_H_
