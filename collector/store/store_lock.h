// A lock file beside the database, so that a second writer refuses instead of waiting.
#ifndef PARITY_COLLECTOR_STORE_STORE_LOCK_H_
#define PARITY_COLLECTOR_STORE_STORE_LOCK_H_

#include <memory>
#include <string>
#include <utility>

#include "absl/status/statusor.h"

namespace parity::store {

// Holds PATH.lock (with the process id inside) until destroyed, then removes it. The kernel lets go
// of it when the process dies, however that happens. A link to a database has the database's lock.
class StoreLock {
 public:
  // UNAVAILABLE "in use by process N" when another holder lives; PERMISSION_DENIED or NOT_FOUND for
  // the directory.
  static absl::StatusOr<std::unique_ptr<StoreLock>> Acquire(const std::string& database_path);
  ~StoreLock();
  StoreLock(const StoreLock&) = delete;
  StoreLock& operator=(const StoreLock&) = delete;

  // The database's own file: where links lead.
  const std::string& database_file() const { return database_file_; }
  // The lock file.
  const std::string& path() const { return path_; }

 private:
  StoreLock(std::string database_file, std::string path, int fd)
      : database_file_(std::move(database_file)), path_(std::move(path)), fd_(fd) {}
  const std::string database_file_;
  const std::string path_;
  const int fd_;
};

}  // namespace parity::store

#endif  // PARITY_COLLECTOR_STORE_STORE_LOCK_H_
