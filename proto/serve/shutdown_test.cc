#include "proto/serve/shutdown.h"

#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "gtest/gtest.h"

namespace parity::serve {
namespace {

TEST(ShutdownTest, WaitReturnsTheSignal) {
  std::thread waiter([] {
    BlockShutdownSignals();
    kill(getpid(), SIGTERM);
    EXPECT_EQ(WaitForShutdownSignal(), SIGTERM);
  });
  waiter.join();
}

TEST(ShutdownTest, TheWatcherIsToldOnce) {
  std::atomic<int> told{0};
  {
    ShutdownWatcher watcher([&] { ++told; });
    kill(getpid(), SIGINT);
    const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (told == 0 && std::chrono::steady_clock::now() < limit) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  }
  EXPECT_EQ(told, 1);
}

TEST(ShutdownTest, AWatcherThatHearsNothingEnds) {
  std::atomic<int> told{0};
  {
    ShutdownWatcher watcher([&] { ++told; });
  }
  EXPECT_EQ(told, 0);
}

}  // namespace
}  // namespace parity::serve

// The signals must be blocked before any thread starts, gtest's own included.
int main(int argc, char** argv) {
  parity::serve::BlockShutdownSignals();
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
