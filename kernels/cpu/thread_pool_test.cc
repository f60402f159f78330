#include "kernels/cpu/thread_pool.h"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <random>
#include <thread>
#include <vector>

#include "gtest/gtest.h"

namespace parity::kernels {
namespace {

TEST(ThreadPoolTest, EveryTaskRunsOnceWhateverTheThreads) {
  for (int threads : {1, 2, 3, 7}) {
    ThreadPool pool(threads);
    EXPECT_EQ(pool.threads(), threads);
    for (int64_t tasks : {0, 1, 2, 5, 64, 1001}) {
      std::vector<std::atomic<int>> counts(tasks);
      pool.Run(tasks, [&](int64_t begin, int64_t end, int thread) {
        EXPECT_LT(begin, end);
        EXPECT_GE(thread, 0);
        EXPECT_LT(thread, threads);
        for (int64_t i = begin; i < end; ++i) counts[i].fetch_add(1);
      });
      for (int64_t i = 0; i < tasks; ++i) EXPECT_EQ(counts[i].load(), 1) << i << " of " << tasks;
    }
  }
}

TEST(ThreadPoolTest, NoTwoRangesShareAThreadIndexAtOneTime) {
  ThreadPool pool(4);
  std::atomic<int> inside[4] = {};
  for (int round = 0; round < 200; ++round) {
    pool.Run(64, [&](int64_t, int64_t, int thread) {
      EXPECT_EQ(inside[thread].fetch_add(1), 0);
      inside[thread].fetch_sub(1);
    });
  }
}

TEST(ThreadPoolTest, ManyShortJobsSeeTheirOwnBodies) {
  ThreadPool pool(3);
  for (int64_t job = 0; job < 20000; ++job) {
    std::atomic<int64_t> sum{0};
    const int64_t tasks = 1 + job % 13;
    pool.Run(tasks, [&](int64_t begin, int64_t end, int) {
      for (int64_t i = begin; i < end; ++i) sum.fetch_add(job + i);
    });
    ASSERT_EQ(sum.load(), tasks * job + tasks * (tasks - 1) / 2) << job;
  }
}

TEST(ThreadPoolTest, SleepingHelpersWakeAgain) {
  ThreadPool pool(2);
  for (int round = 0; round < 5; ++round) {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));  // far beyond the spin
    std::atomic<int> helped{0};
    pool.Run(2, [&](int64_t, int64_t, int thread) {
      // The caller's range waits for the helper's, so this passes only if the helper woke.
      helped.fetch_add(1);
      while (helped.load() < 2) std::this_thread::yield();
    });
    EXPECT_EQ(helped.load(), 2);
  }
}

TEST(ThreadPoolTest, ACallerThatSleepsOverALatePieceIsWoken) {
  ThreadPool pool(3);
  for (int round = 0; round < 20; ++round) {
    std::atomic<int> done{0};
    pool.Run(3, [&](int64_t, int64_t, int thread) {
      // Each thread has one, since the others wait for it.
      done.fetch_add(1);
      while (done.load() % 4 != 3) std::this_thread::yield();
      if (thread == 0) return;
      std::this_thread::sleep_for(std::chrono::milliseconds(thread));  // far beyond the spin
      done.fetch_add(4);
    });
    EXPECT_EQ(done.load(), 3 + 2 * 4);
  }
}

// A helper that goes to sleep while it is being woken must hear of the next job, or of the end: a
// pool that forgets one hangs in its destructor. A wake-up that had that hole hung in two of four
// runs of 20 s of the like, so a pass says little and a hang says all.
TEST(ThreadPoolTest, AHelperThatFallsAsleepMeanwhileIsNotForgotten) {
  std::minstd_rand random(1);
  const auto now = [] { return std::chrono::steady_clock::now(); };
  for (const auto end = now() + std::chrono::seconds(2); now() < end;) {
    ThreadPool pool(3);
    for (int round = 0; round < 200; ++round) {
      std::atomic<int64_t> done{0};
      pool.Run(64, [&](int64_t begin, int64_t last, int) { done.fetch_add(last - begin); });
      ASSERT_EQ(done.load(), 64);
      const std::chrono::microseconds pause(random() % 120);  // around the spin
      if (random() % 8 == 0) {
        std::this_thread::sleep_for(pause);
      } else {
        for (const auto until = now() + pause; now() < until;) {
        }
      }
    }
  }
}

TEST(ThreadPoolTest, RangesRespectTheSmallestSize) {
  ThreadPool pool(2);
  std::atomic<int> ranges{0};
  pool.Run(
      100,
      [&](int64_t begin, int64_t end, int) {
        EXPECT_TRUE(end - begin == 40 || end == 100);
        ranges.fetch_add(1);
      },
      40);
  EXPECT_EQ(ranges.load(), 3);
}

}  // namespace
}  // namespace parity::kernels
