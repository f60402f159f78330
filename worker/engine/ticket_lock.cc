#include "worker/engine/ticket_lock.h"

namespace parity::engine {

TicketLock::Holder::Holder(TicketLock& lock) : lock_(lock) {
  std::unique_lock<std::mutex> guard(lock_.mutex_);
  const int64_t ticket = lock_.next_ticket_++;
  lock_.turn_.wait(guard, [&] { return lock_.now_serving_ == ticket; });
}

TicketLock::Holder::~Holder() {
  {
    std::lock_guard<std::mutex> guard(lock_.mutex_);
    ++lock_.now_serving_;
  }
  lock_.turn_.notify_all();
}

int64_t TicketLock::pending() const {
  std::lock_guard<std::mutex> guard(mutex_);
  return next_ticket_ - now_serving_;
}

}  // namespace parity::engine
