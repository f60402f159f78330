#include "worker/engine/step_queue.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace parity::engine {
namespace {

using ::testing::ElementsAre;

// Waits for whoever is expected, for longer than any machine takes to bring him back.
constexpr StepQueue::Limits kPatient = {
    .rows = 8, .shared_rows = 0, .hold_share = 1e9, .most_hold = std::chrono::seconds(60)};

// Rows of a step, one entry a ticket.
using Rows = std::vector<int64_t>;

// A queue whose steps last until they are let go.
class Steps {
 public:
  explicit Steps(StepQueue::Limits limits)
      : queue_(limits, [this](absl::Span<StepQueue::Ticket* const> tickets) { Compute(tickets); }) {
  }

  StepQueue& queue() { return queue_; }

  // From now on steps end at once.
  void Release() {
    std::lock_guard<std::mutex> lock(mutex_);
    held_ = false;
    changed_.notify_all();
  }
  void WaitUntilComputing() {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [this] { return computing_; });
  }
  // Lets the step that is held end, and waits for the next one to be held.
  void Next() {
    std::unique_lock<std::mutex> lock(mutex_);
    const size_t begun = log_.size();
    ++let_go_;
    changed_.notify_all();
    changed_.wait(lock, [&] { return computing_ && log_.size() > begun; });
  }
  void AwaitWaiting(int64_t tickets) {
    while (queue_.waiting() != tickets) std::this_thread::yield();
  }
  std::vector<Rows> log() {
    std::lock_guard<std::mutex> lock(mutex_);
    return log_;
  }

 private:
  void Compute(absl::Span<StepQueue::Ticket* const> tickets) {
    std::unique_lock<std::mutex> lock(mutex_);
    EXPECT_FALSE(computing_);
    computing_ = true;
    log_.emplace_back();
    for (const StepQueue::Ticket* ticket : tickets) log_.back().push_back(ticket->rows);
    const size_t own = log_.size();
    changed_.notify_all();
    changed_.wait(lock, [&] { return !held_ || let_go_ >= own; });
    computing_ = false;
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  bool held_ = true;
  bool computing_ = false;
  size_t let_go_ = 0;
  std::vector<Rows> log_;
  StepQueue queue_;  // last: it is used only while the others live
};

// A member on a thread of its own that feeds `wanted` rows, however many steps it takes.
class Feeder {
 public:
  Feeder(StepQueue& queue, int64_t wanted)
      : member_(std::make_unique<StepQueue::Member>(queue)), thread_([this, &queue, wanted] {
          for (int64_t left = wanted; left > 0;) {
            StepQueue::Ticket ticket(*member_, left);
            queue.Run(ticket);
            left -= ticket.rows;
          }
          member_.reset();
        }) {}
  ~Feeder() { thread_.join(); }

 private:
  std::unique_ptr<StepQueue::Member> member_;
  std::thread thread_;
};

TEST(StepQueueTest, AloneEveryStepIsWhole) {
  Steps steps({.rows = 8, .shared_rows = 2});
  steps.Release();
  StepQueue::Member member(steps.queue());
  for (const int64_t wanted : {1, 5, 20}) {
    StepQueue::Ticket ticket(member, wanted);
    steps.queue().Run(ticket);
  }
  EXPECT_THAT(steps.log(), ElementsAre(Rows{1}, Rows{5}, Rows{8}));
}

TEST(StepQueueTest, WhoArrivesDuringAStepSharesTheNext) {
  Steps steps({.rows = 8, .shared_rows = 4});
  {
    Feeder first(steps.queue(), 1);
    steps.WaitUntilComputing();
    Feeder second(steps.queue(), 1);
    steps.AwaitWaiting(1);
    Feeder third(steps.queue(), 1);
    steps.AwaitWaiting(2);
    steps.Release();
  }
  EXPECT_THAT(steps.log(), ElementsAre(Rows{1}, Rows{1, 1}));
}

TEST(StepQueueTest, SpareRowsAreSharedEvenlyByThoseThatWantMore) {
  Steps steps({.rows = 16, .shared_rows = 7});
  {
    Feeder first(steps.queue(), 1);
    steps.WaitUntilComputing();
    Feeder long_one(steps.queue(), 20);
    steps.AwaitWaiting(1);
    Feeder one(steps.queue(), 1);
    steps.AwaitWaiting(2);
    Feeder two(steps.queue(), 2);
    steps.AwaitWaiting(3);
    Feeder other_long_one(steps.queue(), 20);
    steps.AwaitWaiting(4);
    steps.Next();
    EXPECT_THAT(steps.log(), ElementsAre(Rows{1}, Rows{4, 1, 2, 4}));
    steps.Release();
  }
}

TEST(StepQueueTest, MoreTicketsThanRowsAreServedInTurn) {
  Steps steps({.rows = 2, .shared_rows = 2});
  {
    Feeder first(steps.queue(), 1);
    steps.WaitUntilComputing();
    std::vector<std::unique_ptr<Feeder>> feeders;
    for (int i = 0; i < 3; ++i) {
      feeders.push_back(std::make_unique<Feeder>(steps.queue(), 2));
      steps.AwaitWaiting(i + 1);
    }
    steps.Release();
  }
  // A row each for the first two, then whoever waited, then what is left of those who came back.
  const std::vector<Rows> log = steps.log();
  ASSERT_GE(log.size(), 4u);
  EXPECT_EQ(log[1], (Rows{1, 1}));
  int64_t rows = 0;
  for (const Rows& step : log) {
    EXPECT_LE(step.size(), 2u);
    for (const int64_t share : step) rows += share;
  }
  EXPECT_EQ(rows, 1 + 3 * 2);
}

TEST(StepQueueTest, SingleRowsMeetAndWhoWantsMoreIsAlone) {
  Steps steps(
      {.rows = 8, .shared_rows = 8, .hold_share = 0, .members = 3, .single_rows_meet = true});
  {
    Feeder first(steps.queue(), 1);
    steps.WaitUntilComputing();
    std::vector<std::unique_ptr<Feeder>> feeders;
    for (const int64_t wanted : {1, 5, 1, 1, 1, 7}) {
      feeders.push_back(std::make_unique<Feeder>(steps.queue(), wanted));
      steps.AwaitWaiting(static_cast<int64_t>(feeders.size()));
    }
    steps.Release();
  }
  // In order of arrival, but for those that must not meet.
  EXPECT_THAT(steps.log(), ElementsAre(Rows{1}, Rows{1, 1, 1}, Rows{5}, Rows{1}, Rows{7}));
}

// The members of a step come back one after the other; they are in one step again.
TEST(StepQueueTest, AStepTakesNoMoreMembersThanItMay) {
  Steps steps({.rows = 8, .shared_rows = 8, .hold_share = 0, .members = 1});
  {
    Feeder first(steps.queue(), 1);
    steps.WaitUntilComputing();
    Feeder second(steps.queue(), 5);
    steps.AwaitWaiting(1);
    Feeder third(steps.queue(), 9);
    steps.AwaitWaiting(2);
    steps.Release();
  }
  // Neither is cut short because of the other.
  EXPECT_THAT(steps.log(), ElementsAre(Rows{1}, Rows{5}, Rows{8}, Rows{1}));
}

TEST(StepQueueTest, TheFirstToComeBackWaitsForTheOthers) {
  Steps steps(kPatient);
  StepQueue& queue = steps.queue();
  StepQueue::Member early(queue), late(queue);
  const auto run = [&](StepQueue::Member& member) {
    StepQueue::Ticket ticket(member, 1);
    queue.Run(ticket);
  };
  std::thread opening([&] { run(early); });
  steps.WaitUntilComputing();
  std::thread second([&] { run(late); });
  steps.AwaitWaiting(1);
  std::thread third([&] {
    opening.join();
    run(early);
  });
  steps.Next();
  EXPECT_EQ(steps.log().back().size(), 2u);
  steps.Release();
  second.join();
  third.join();
}

TEST(StepQueueTest, NobodyWaitsLongForWhoStaysAway) {
  Steps steps({.rows = 8, .shared_rows = 0});
  StepQueue& queue = steps.queue();
  StepQueue::Member away(queue), here(queue);
  const auto run = [&](StepQueue::Member& member) {
    StepQueue::Ticket ticket(member, 1);
    queue.Run(ticket);
  };
  std::thread first([&] { run(away); });
  steps.WaitUntilComputing();
  std::thread second([&] { run(here); });
  steps.AwaitWaiting(1);
  steps.Release();
  first.join();
  second.join();  // would hang if `away` were waited for without limit
  EXPECT_THAT(steps.log(), ElementsAre(Rows{1}, Rows{1}));
}

TEST(StepQueueTest, AMemberThatLeavesIsNotWaitedFor) {
  Steps steps(kPatient);
  const auto start = std::chrono::steady_clock::now();
  StepQueue& queue = steps.queue();
  auto leaving = std::make_unique<StepQueue::Member>(queue);
  StepQueue::Member here(queue);
  std::thread first([&] {
    StepQueue::Ticket ticket(*leaving, 1);
    queue.Run(ticket);
    leaving.reset();
  });
  steps.WaitUntilComputing();
  std::thread second([&] {
    StepQueue::Ticket ticket(here, 1);
    queue.Run(ticket);
  });
  steps.AwaitWaiting(1);
  steps.Release();
  first.join();
  second.join();
  EXPECT_THAT(steps.log(), ElementsAre(Rows{1}, Rows{1}));
  EXPECT_LT(std::chrono::steady_clock::now() - start, kPatient.most_hold / 2);
}

TEST(StepQueueTest, ManyThreadsEachGetAllTheirRows) {
  Steps steps({.rows = 5, .shared_rows = 3});
  steps.Release();
  {
    std::vector<std::unique_ptr<Feeder>> feeders;
    for (int i = 0; i < 16; ++i) {
      feeders.push_back(std::make_unique<Feeder>(steps.queue(), 1 + i * 7));
    }
  }
  int64_t rows = 0;
  for (const Rows& step : steps.log()) {
    int64_t in_step = 0;
    for (const int64_t share : step) {
      EXPECT_GE(share, 1);
      in_step += share;
    }
    EXPECT_LE(in_step, 5);
    rows += in_step;
  }
  EXPECT_EQ(rows, 16 + 7 * (15 * 16 / 2));
}

}  // namespace
}  // namespace parity::engine
