#include "worker/engine/ticket_lock.h"

#include <thread>
#include <vector>

#include "gtest/gtest.h"

namespace parity::engine {
namespace {

// Spins until `count` holders and waiters are known, so that the order of arrival is the test's
// own.
void AwaitPending(const TicketLock& lock, int64_t count) {
  while (lock.pending() != count) std::this_thread::yield();
}

TEST(TicketLockTest, ServesInOrderOfArrival) {
  TicketLock lock;
  std::vector<int> served;  // guarded by lock
  std::vector<std::thread> threads;
  {
    TicketLock::Holder first(lock);
    for (int i = 0; i < 8; ++i) {
      threads.emplace_back([&, i] {
        TicketLock::Holder holder(lock);
        served.push_back(i);
      });
      AwaitPending(lock, i + 2);
    }
    EXPECT_TRUE(served.empty());
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(served, (std::vector<int>{0, 1, 2, 3, 4, 5, 6, 7}));
  EXPECT_EQ(lock.pending(), 0);
}

TEST(TicketLockTest, ExcludesOthers) {
  TicketLock lock;
  int64_t counter = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 500; ++i) {
        TicketLock::Holder holder(lock);
        const int64_t seen = counter;
        std::this_thread::yield();
        counter = seen + 1;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(counter, 4 * 500);
}

}  // namespace
}  // namespace parity::engine
