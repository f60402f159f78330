// The one thread that writes: group commit for batches, a transaction of its own for everything
// else; or one transaction for a whole import (StoreOptions::write_once).
#ifndef PARITY_COLLECTOR_STORE_WRITER_H_
#define PARITY_COLLECTOR_STORE_WRITER_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "collector/store/append.h"
#include "collector/store/batch_inserter.h"
#include "collector/store/database.h"
#include "collector/store/tensor_batch.h"
#include "collector/store/wal_keeper.h"

namespace parity::store {

// Everything is done in the order of the calls. All methods may be called from any thread but the
// writer's own.
class Writer {
 public:
  // A task runs inside a transaction that is committed when it returns OK and rolled back
  // otherwise.
  using Task = std::function<absl::Status(Database&, BatchInserter&)>;
  enum class Kind {
    kAdds,          // refused while the disk is nearly full
    kBeginsImport,  // likewise; what is written once is not committed by it
    kFrees,         // allowed then: deletion. Afterwards the file is shrunk and the WAL emptied.
  };

  // A database InTransaction() is written once: that transaction is committed by the first task
  // that does more than begin an import.
  static absl::StatusOr<std::unique_ptr<Writer>> Start(std::unique_ptr<Database> database,
                                                       const StoreOptions& options);
  // Finishes what is queued, empties the WAL, closes the connection.
  ~Writer();

  // Blocks while more than options.max_in_flight_bytes is queued.
  void Append(int64_t capture_id, TensorBatch batch, bool replace, AppendDone done);

  // Waits for the task and returns its status, or why it could not be committed.
  absl::Status Run(Kind kind, Task task);

 private:
  struct Item {
    int64_t capture_id = 0;
    TensorBatch batch;
    bool replace = false;
    AppendDone done;
    std::function<void()> exclusive;  // set: this instead of a batch
  };
  struct Pending {
    AppendDone done;
    AppendResult result;
  };

  Writer(std::unique_ptr<Database> database, const StoreOptions& options)
      : options_(options), database_(std::move(database)), once_(database_->InTransaction()) {}

  void Loop();
  // Next item; false: none came by `deadline` (the queue is empty), or all is done.
  bool Pop(absl::Time deadline, Item& item);
  // All is done, and nothing more comes.
  bool Stopped();
  bool WantsMore() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return !queue_.empty() || stopping_;
  }
  bool HasRoom() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return queued_bytes_ <= options_.max_in_flight_bytes;
  }
  void Push(Item item) ABSL_LOCKS_EXCLUDED(mutex_);
  void AppendItem(Item& item);
  absl::Status CommitGroup();
  void FailGroup(const absl::Status& status);
  absl::Status RunTask(Kind kind, const Task& task);
  absl::Status RunInTransaction(const Task& task);
  void AppendOnce(Item& item);
  absl::Status RunOnce(Kind kind, const Task& task);
  // Commits what was written once if `status` is OK, else rolls it back; all after that is as ever.
  absl::Status EndOnce(absl::Status status);
  absl::Status CheckWritable();
  void NoteFailure(const absl::Status& status);

  const StoreOptions options_;
  const std::unique_ptr<Database> database_;
  std::unique_ptr<BatchInserter> inserter_;  // goes before database_, as wal_ does
  std::unique_ptr<WalKeeper> wal_;           // null while once_

  // Writer thread only.
  bool once_ = false;
  bool group_open_ = false;
  int64_t group_bytes_ = 0;
  absl::Time group_limit_;     // committed then, whatever comes
  absl::Time group_deadline_;  // committed then unless more comes
  std::vector<Pending> pending_;
  absl::Status broken_;  // a failed write or sync: what is on the disk is not known any more

  absl::Mutex mutex_;
  std::deque<Item> queue_ ABSL_GUARDED_BY(mutex_);
  int64_t queued_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace parity::store

#endif  // PARITY_COLLECTOR_STORE_WRITER_H_
