// Gathers the rows that sessions want computed at the same time, so that one pass over the weights
// serves all of them.
#ifndef PARITY_WORKER_ENGINE_STEP_QUEUE_H_
#define PARITY_WORKER_ENGINE_STEP_QUEUE_H_

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <limits>
#include <mutex>
#include <vector>

#include "absl/types/span.h"

namespace parity::engine {

// Steps are computed one at a time, by the threads that ask for them: whoever finds the queue idle
// computes a step for everybody who waits, itself included. While a step is computed, arrivals
// gather for the next one. A member that is alone never waits.
//
// The members of a step come back for the next one at slightly different times (each samples and
// sends its token), so the first of them waits for the others, for a part of the time that the last
// step took; without this, steps of one and of all the others would alternate.
//
// Threading: thread-safe.
class StepQueue {
 public:
  struct Limits {
    int64_t rows;         // of a step
    int64_t shared_rows;  // beyond one a ticket, while more than one member is open
    // The longest wait for members that are expected back: a share of the last step, and in all. A
    // quarter is less than what a pass over the weights costs; 5 ms are several times what sampling
    // and sending a token take on a busy machine.
    double hold_share = 0.25;
    std::chrono::milliseconds most_hold{5};
    int64_t members = std::numeric_limits<int64_t>::max();  // of a step
    // Whether a step of several members has those only that want one row; others have a step alone.
    bool single_rows_meet = false;
  };

  // A session. Leaves the queue when it is destroyed. REQUIRES: the queue outlives it.
  class Member {
   public:
    explicit Member(StepQueue& queue);
    ~Member();
    Member(const Member&) = delete;
    Member& operator=(const Member&) = delete;

   private:
    friend class StepQueue;
    StepQueue& queue_;
    int64_t awaited_after_ = 0;  // the step it took part in and has not come back from; 0: none
  };

  // What one member wants: lives while Run() does. At most one a member at a time.
  struct Ticket {
    Ticket(Member& member, int64_t wanted) : wanted(wanted), member_(member) {}
    const int64_t wanted;  // rows it could use, at least 1
    int64_t rows = 0;      // of them in the step: in 1..wanted, set before the step is computed

   private:
    friend class StepQueue;
    Member& member_;
    bool done_ = false;
    std::condition_variable turn_;
  };

  // Computes one step for `tickets`: the sum of their rows is at most limits.rows. Never called
  // twice at a time.
  using Compute = std::function<void(absl::Span<Ticket* const> tickets)>;

  // REQUIRES: limits.rows >= 1, limits.shared_rows >= 0, limits.members >= 1.
  StepQueue(Limits limits, Compute compute);

  // Returns after `ticket` has been part of a step, computed by this thread or by another one.
  // Tickets are taken in order of arrival, but for those that must not meet the first one.
  // Everybody gets a row, as far as they last; the others are shared evenly among those that want
  // more.
  void Run(Ticket& ticket);

  // Tickets that wait for a step. For tests and load figures.
  int64_t waiting() const;

 private:
  using Clock = std::chrono::steady_clock;

  // Whether a step may start now. REQUIRES: none is being computed, somebody waits.
  bool MayStart() const;
  void Lead(std::unique_lock<std::mutex>& lock);
  std::vector<Ticket*> Take();
  // `member` is no longer awaited.
  void Returned(Member& member);
  void WakeFirst();

  const Limits limits_;
  const Compute compute_;
  mutable std::mutex mutex_;
  std::deque<Ticket*> waiting_;
  bool computing_ = false;
  int64_t open_members_ = 0;
  int64_t steps_ = 0;             // computed so far
  int64_t absent_ = 0;            // members of the last step that are still awaited
  Clock::time_point hold_until_;  // how long to wait for them
};

}  // namespace parity::engine

#endif  // PARITY_WORKER_ENGINE_STEP_QUEUE_H_
