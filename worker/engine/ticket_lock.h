// A mutual exclusion that serves in order of arrival, so that no session of a busy engine starves.
#ifndef PARITY_WORKER_ENGINE_TICKET_LOCK_H_
#define PARITY_WORKER_ENGINE_TICKET_LOCK_H_

#include <condition_variable>
#include <cstdint>
#include <mutex>

namespace parity::engine {

// Threading: thread-safe. Not reentrant.
class TicketLock {
 public:
  // Holds the lock for its scope; waits for everybody who came before.
  class Holder {
   public:
    explicit Holder(TicketLock& lock);
    ~Holder();
    Holder(const Holder&) = delete;
    Holder& operator=(const Holder&) = delete;

   private:
    TicketLock& lock_;
  };

  // Tickets drawn and not yet given back: the holder and those who wait. For tests and for load
  // figures.
  int64_t pending() const;

 private:
  mutable std::mutex mutex_;
  std::condition_variable turn_;
  int64_t next_ticket_ = 0;
  int64_t now_serving_ = 0;
};

}  // namespace parity::engine

#endif  // PARITY_WORKER_ENGINE_TICKET_LOCK_H_
