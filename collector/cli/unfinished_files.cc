#include "collector/cli/unfinished_files.h"

#include <glog/logging.h>
#include <limits.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cstddef>
#include <cstring>

namespace parity::cli {
namespace {

constexpr int kSignals[] = {SIGINT, SIGTERM, SIGHUP};

// All that the handler reads; it may run on any thread, and still while the object goes, so this is
// memory that stays.
char file_names[UnfinishedFiles::kMost][PATH_MAX];
std::atomic<size_t> file_count{0};
static_assert(std::atomic<size_t>::is_always_lock_free, "a signal handler must not wait");

void RemoveFiles(int number) {
  const size_t count = file_count.exchange(0);
  for (size_t i = 0; i < count; ++i) unlink(file_names[i]);
  raise(number);  // ends the process once this returns: SA_RESETHAND
}

// Gives every signal of kSignals that has `from` the handler `to`.
void Exchange(void (*from)(int), void (*to)(int)) {
  for (const int number : kSignals) {
    struct sigaction action = {};
    if (sigaction(number, nullptr, &action) != 0 || action.sa_handler != from) continue;
    action = {};
    action.sa_handler = to;
    action.sa_flags = static_cast<int>(SA_RESETHAND);
    sigemptyset(&action.sa_mask);
    sigaction(number, &action, nullptr);
  }
}

}  // namespace

UnfinishedFiles::UnfinishedFiles(const std::vector<std::string>& files) {
  CHECK_LE(files.size(), kMost);
  CHECK_EQ(file_count.load(), 0u) << "two at a time";
  size_t count = 0;
  for (const std::string& file : files) {
    if (file.size() >= PATH_MAX) continue;  // no system call takes such a name: it is not there
    std::memcpy(file_names[count++], file.c_str(), file.size() + 1);
  }
  file_count.store(count);
  if (count > 0) Exchange(SIG_DFL, &RemoveFiles);
}

UnfinishedFiles::~UnfinishedFiles() {
  file_count.store(0);
  Exchange(&RemoveFiles, SIG_DFL);
}

}  // namespace parity::cli
