// Read connections that are used again: opening one reads the file's whole schema.
#ifndef PARITY_COLLECTOR_STORE_CONNECTION_POOL_H_
#define PARITY_COLLECTOR_STORE_CONNECTION_POOL_H_

#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "collector/store/database.h"

namespace parity::store {

// Used by any number of threads. Held by a shared_ptr: what was taken may outlive it.
class ConnectionPool : public std::enable_shared_from_this<ConnectionPool> {
 public:
  explicit ConnectionPool(std::string path) : path_(std::move(path)) {}

  // A connection for one thread (OpenForReading), which comes back when the last owner is gone.
  // REQUIRES: by then no statement of it is left.
  absl::StatusOr<std::shared_ptr<Database>> Take();

 private:
  void PutBack(std::unique_ptr<Database> connection);

  const std::string path_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<Database>> idle_;
};

}  // namespace parity::store

#endif  // PARITY_COLLECTOR_STORE_CONNECTION_POOL_H_
