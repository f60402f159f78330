#include "collector/store/connection_pool.h"

#include <cstddef>
#include <utility>

#include "collector/store/schema.h"
#include "proto/status/status_macros.h"

namespace parity::store {
namespace {

constexpr size_t kMostIdle = 4;  // two comparisons on two threads; each keeps up to 1 MiB of pages

}  // namespace

absl::StatusOr<std::shared_ptr<Database>> ConnectionPool::Take() {
  std::unique_ptr<Database> connection;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (!idle_.empty()) {
      connection = std::move(idle_.back());
      idle_.pop_back();
    }
  }
  if (connection == nullptr) {
    ASSIGN_OR_RETURN(connection, OpenForReading(path_));
  }
  return std::shared_ptr<Database>(connection.release(),
                                   [pool = weak_from_this()](Database* database) {
                                     std::unique_ptr<Database> own(database);
                                     if (const auto alive = pool.lock())
                                       alive->PutBack(std::move(own));
                                   });
}

void ConnectionPool::PutBack(std::unique_ptr<Database> connection) {
  std::lock_guard<std::mutex> lock(mutex_);
  if (idle_.size() < kMostIdle) idle_.push_back(std::move(connection));
}

}  // namespace parity::store
