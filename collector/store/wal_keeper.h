// Keeps the write-ahead log in order: disk space for it ahead of time, and its pages moved into the
// database file when that disturbs nobody.
#ifndef PARITY_COLLECTOR_STORE_WAL_KEEPER_H_
#define PARITY_COLLECTOR_STORE_WAL_KEEPER_H_

#include <cstdint>
#include <string>

#include "absl/time/time.h"
#include "collector/store/database.h"

namespace parity::store {

// Takes the place of wal_autocheckpoint on one connection. On the writer thread only; must not
// outlive its Database.
class WalKeeper {
 public:
  explicit WalKeeper(Database& database);
  ~WalKeeper();
  WalKeeper(const WalKeeper&) = delete;
  WalKeeper& operator=(const WalKeeper&) = delete;

  // Call before a large transaction commits: makes room on the disk for `bytes` more. A disk that
  // cannot is told by the commit itself.
  void Reserve(int64_t bytes);

  // Call after every commit. Checkpoints when the log is full.
  void AfterCommit();

  // When OnIdle() is due if nothing is committed before; infinite: no more.
  absl::Time idle_time() const { return idle_time_; }

  // Checkpoints. The log's disk space is kept for the next burst at first, and given back when
  // called for the second time.
  void OnIdle();

  // Checkpoints and gives the log's space back.
  void Truncate();

 private:
  static int OnCommitted(void* self, struct sqlite3* handle, const char* schema, int pages);

  Database& database_;
  const std::string wal_path_;
  int64_t page_bytes_ = 0;
  int64_t used_bytes_ = 0;       // of the log; starts anew after a whole checkpoint
  int64_t allocated_bytes_ = 0;  // that we asked for
  bool committed_ = false;       // since the last checkpoint
  absl::Time idle_time_ = absl::InfiniteFuture();
};

}  // namespace parity::store

#endif  // PARITY_COLLECTOR_STORE_WAL_KEEPER_H_
