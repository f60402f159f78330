#include "worker/engine/step_queue.h"

#include <glog/logging.h>

#include <algorithm>
#include <utility>

namespace parity::engine {

StepQueue::Member::Member(StepQueue& queue) : queue_(queue) {
  std::lock_guard<std::mutex> lock(queue_.mutex_);
  ++queue_.open_members_;
}

StepQueue::Member::~Member() {
  std::lock_guard<std::mutex> lock(queue_.mutex_);
  --queue_.open_members_;
  queue_.Returned(*this);
  if (queue_.absent_ == 0 && !queue_.computing_) queue_.WakeFirst();
}

StepQueue::StepQueue(Limits limits, Compute compute)
    : limits_(limits), compute_(std::move(compute)) {
  CHECK(limits_.rows >= 1 && limits_.shared_rows >= 0 && limits_.members >= 1);
}

void StepQueue::Run(Ticket& ticket) {
  CHECK_GE(ticket.wanted, 1);
  std::unique_lock<std::mutex> lock(mutex_);
  waiting_.push_back(&ticket);
  Returned(ticket.member_);
  while (!ticket.done_) {
    if (computing_) {
      ticket.turn_.wait(lock);
    } else if (MayStart()) {
      Lead(lock);
    } else if (waiting_.front() == &ticket) {  // keeps the time for all
      ticket.turn_.wait_until(lock, hold_until_);
    } else {
      ticket.turn_.wait(lock);
    }
  }
}

bool StepQueue::MayStart() const {
  const int64_t most = std::min(limits_.rows, limits_.members);
  return absent_ == 0 || static_cast<int64_t>(waiting_.size()) >= most ||
         Clock::now() >= hold_until_;
}

int64_t StepQueue::waiting() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return static_cast<int64_t>(waiting_.size());
}

void StepQueue::Returned(Member& member) {
  if (steps_ > 0 && member.awaited_after_ == steps_) --absent_;
  member.awaited_after_ = 0;
}

void StepQueue::WakeFirst() {
  if (!waiting_.empty()) waiting_.front()->turn_.notify_one();
}

void StepQueue::Lead(std::unique_lock<std::mutex>& lock) {
  const std::vector<Ticket*> step = Take();
  computing_ = true;
  lock.unlock();
  const Clock::time_point start = Clock::now();
  compute_(step);
  const Clock::time_point end = Clock::now();
  lock.lock();
  computing_ = false;
  ++steps_;
  absent_ = static_cast<int64_t>(step.size());
  const double hold =
      std::min((end - start) / std::chrono::duration<double>(1) * limits_.hold_share,
               limits_.most_hold / std::chrono::duration<double>(1));
  hold_until_ =
      end + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(hold));
  for (Ticket* ticket : step) {
    ticket->member_.awaited_after_ = steps_;
    ticket->done_ = true;
    ticket->turn_.notify_one();
  }
  WakeFirst();
}

std::vector<StepQueue::Ticket*> StepQueue::Take() {
  const auto most = static_cast<size_t>(std::min(limits_.rows, limits_.members));
  std::vector<Ticket*> step;
  for (auto next = waiting_.begin(); next != waiting_.end() && step.size() < most;) {
    const bool meets =
        step.empty() || !limits_.single_rows_meet || (step[0]->wanted == 1 && (*next)->wanted == 1);
    if (!meets) {
      ++next;
      continue;
    }
    step.push_back(*next);
    next = waiting_.erase(next);
  }
  int64_t spare = limits_.rows - static_cast<int64_t>(step.size());
  // Who has a step alone holds the others up for all of it.
  if (open_members_ > 1) spare = std::min(spare, limits_.shared_rows);
  for (Ticket* ticket : step) ticket->rows = 1;
  while (spare > 0) {
    const auto wants_more = [](const Ticket* ticket) { return ticket->rows < ticket->wanted; };
    const int64_t hungry = std::count_if(step.begin(), step.end(), wants_more);
    if (hungry == 0) break;
    const int64_t share = std::max<int64_t>(1, spare / hungry);
    for (Ticket* ticket : step) {
      const int64_t more = std::min({share, ticket->wanted - ticket->rows, spare});
      ticket->rows += more;
      spare -= more;
    }
  }
  return step;
}

}  // namespace parity::engine
