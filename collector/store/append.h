// What a write to the store is told and what it answers.
#ifndef PARITY_COLLECTOR_STORE_APPEND_H_
#define PARITY_COLLECTOR_STORE_APPEND_H_

#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace parity::store {

struct StoreOptions {
  // Writes are refused while the disk has less free than this: room for a whole WAL and its
  // checkpoint, 0.3 GiB each, and for the neighbours.
  int64_t min_free_bytes = int64_t{2} << 30;
  // Group commit: a commit happens when so many bytes are waiting, when the oldest has waited so
  // long, or when nothing more came for commit_quiet (a small model's tokens come faster).
  int64_t commit_bytes = 16 << 20;
  absl::Duration commit_delay = absl::Milliseconds(200);
  absl::Duration commit_quiet = absl::Milliseconds(20);
  // Append() blocks while more than this is queued.
  int64_t max_in_flight_bytes = int64_t{512} << 20;
  // For one import into a file that does not hold anything yet (any other file is written as ever):
  // everything up to FinishImports, the schema included, is one transaction, without a write-ahead
  // log, so the disk is given every byte once. Until then an append is answered before it is
  // committed, a crash leaves an empty file, and other connections find the file locked. A file
  // that was made for it and still holds no run when the store is closed is removed.
  bool write_once = false;
};

// What became of one batch.
struct AppendResult {
  int64_t stored = 0;
  int64_t duplicate = 0;    // the key was there with the same bytes
  int64_t conflicting = 0;  // the key was there with other bytes: the first is kept
  int64_t superseded = 0;   // imports only: the key was there and was replaced
  std::string first_conflict;
};

// Runs on the writer thread once the batch is committed (it then survives kill -9 and power loss),
// or has failed. Must be quick and must not call back into the store.
using AppendDone = std::function<void(const absl::StatusOr<AppendResult>&)>;

}  // namespace parity::store

#endif  // PARITY_COLLECTOR_STORE_APPEND_H_
