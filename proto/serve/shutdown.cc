#include "proto/serve/shutdown.h"

#include <pthread.h>
#include <signal.h>
#include <time.h>

#include <utility>

namespace parity::serve {
namespace {

sigset_t ShutdownSignals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  return set;
}

// The handler runs in whichever thread has them unblocked: one is enough to end an impatient
// person's process.
void LetTheNextOneKill() {
  const sigset_t set = ShutdownSignals();
  pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
}

}  // namespace

void BlockShutdownSignals() {
  const sigset_t set = ShutdownSignals();
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  signal(SIGPIPE, SIG_IGN);
}

int WaitForShutdownSignal() {
  const sigset_t set = ShutdownSignals();
  int received = 0;
  sigwait(&set, &received);
  LetTheNextOneKill();
  return received;
}

ShutdownWatcher::ShutdownWatcher(std::function<void()> on_signal) {
  thread_ = std::thread([this, on_signal = std::move(on_signal)] {
    const sigset_t set = ShutdownSignals();
    const timespec tick = {0, 50'000'000};  // 50 ms: how long the destructor may take
    bool told = false;
    while (!done_.load(std::memory_order_acquire)) {
      if (told) {
        nanosleep(&tick, nullptr);
      } else if (sigtimedwait(&set, nullptr, &tick) > 0) {
        told = true;
        LetTheNextOneKill();
        on_signal();
      }
    }
  });
}

ShutdownWatcher::~ShutdownWatcher() {
  done_.store(true, std::memory_order_release);
  thread_.join();
}

}  // namespace parity::serve
