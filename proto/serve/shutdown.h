// SIGTERM and SIGINT as an ordinary event.
#ifndef PARITY_PROTO_SERVE_SHUTDOWN_H_
#define PARITY_PROTO_SERVE_SHUTDOWN_H_

#include <atomic>
#include <functional>
#include <thread>

namespace parity::serve {

// Blocks SIGTERM and SIGINT in the calling thread and all that it starts, and ignores SIGPIPE.
// REQUIRES: called in main() before any thread is started.
void BlockShutdownSignals();

// Waits for SIGTERM or SIGINT and returns it. From then on another one ends the process at once.
// REQUIRES: BlockShutdownSignals() was called, and no ShutdownWatcher lives.
int WaitForShutdownSignal();

// Calls `on_signal` once, on a thread of its own, when SIGTERM or SIGINT comes while the object
// lives. REQUIRES: BlockShutdownSignals() was called.
class ShutdownWatcher {
 public:
  explicit ShutdownWatcher(std::function<void()> on_signal);
  ~ShutdownWatcher();
  ShutdownWatcher(const ShutdownWatcher&) = delete;
  ShutdownWatcher& operator=(const ShutdownWatcher&) = delete;

 private:
  std::atomic<bool> done_{false};
  std::thread thread_;
};

}  // namespace parity::serve

#endif  // PARITY_PROTO_SERVE_SHUTDOWN_H_
