// Files that go when a signal ends the process before they are finished.
#ifndef PARITY_COLLECTOR_CLI_UNFINISHED_FILES_H_
#define PARITY_COLLECTOR_CLI_UNFINISHED_FILES_H_

#include <cstddef>
#include <string>
#include <vector>

namespace parity::cli {

// While the object lives, SIGINT, SIGTERM and SIGHUP remove the files and then end the process as
// ever. Who fails without a signal removes them itself. A signal that somebody ignores or handles
// already (`nohup`) is left alone.
class UnfinishedFiles {
 public:
  // Files that are not there do not matter. REQUIRES: at most kMost; no other object lives; the
  // working directory stays, where names are relative.
  explicit UnfinishedFiles(const std::vector<std::string>& files);
  ~UnfinishedFiles();
  UnfinishedFiles(const UnfinishedFiles&) = delete;
  UnfinishedFiles& operator=(const UnfinishedFiles&) = delete;

  static constexpr size_t kMost = 5;  // a database, SQLite's three beside it, and its lock
};

}  // namespace parity::cli

#endif  // PARITY_COLLECTOR_CLI_UNFINISHED_FILES_H_
