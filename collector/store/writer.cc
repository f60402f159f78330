#include "collector/store/writer.h"

#include <sys/statvfs.h>

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "collector/store/schema.h"
#include "proto/status/status_macros.h"

namespace parity::store {
namespace {

constexpr int64_t kMiB = 1 << 20;

std::string DirectoryOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

// Errors of one item that leave the transaction usable.
bool IsAboutItemOnly(const absl::Status& status) {
  return absl::IsNotFound(status) || absl::IsFailedPrecondition(status);
}

}  // namespace

absl::StatusOr<std::unique_ptr<Writer>> Writer::Start(std::unique_ptr<Database> database,
                                                      const StoreOptions& options) {
  std::unique_ptr<Writer> writer(new Writer(std::move(database), options));
  ASSIGN_OR_RETURN(writer->inserter_, BatchInserter::Create(*writer->database_));
  if (!writer->once_) writer->wal_ = std::make_unique<WalKeeper>(*writer->database_);
  writer->thread_ = std::thread(&Writer::Loop, writer.get());
  return writer;
}

Writer::~Writer() {
  if (!thread_.joinable()) return;
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
  }
  thread_.join();
}

void Writer::Push(Item item) {
  const int64_t bytes = item.batch.bytes();
  absl::MutexLock lock(&mutex_);
  mutex_.Await(absl::Condition(this, &Writer::HasRoom));
  queued_bytes_ += bytes;
  queue_.push_back(std::move(item));
}

void Writer::Append(int64_t capture_id, TensorBatch batch, bool replace, AppendDone done) {
  Item item;
  item.capture_id = capture_id;
  item.batch = std::move(batch);
  item.replace = replace;
  item.done = std::move(done);
  Push(std::move(item));
}

absl::Status Writer::Run(Kind kind, Task task) {
  absl::Notification finished;
  absl::Status status;
  Item item;
  item.exclusive = [&]() {
    status = RunTask(kind, task);
    finished.Notify();
  };
  Push(std::move(item));
  finished.WaitForNotification();
  return status;
}

bool Writer::Pop(absl::Time deadline, Item& item) {
  absl::MutexLock lock(&mutex_);
  mutex_.AwaitWithDeadline(absl::Condition(this, &Writer::WantsMore), deadline);
  if (queue_.empty()) return false;
  item = std::move(queue_.front());
  queue_.pop_front();
  queued_bytes_ -= item.batch.bytes();
  return true;
}

void Writer::Loop() {
  while (true) {
    Item item;
    const bool was_open = group_open_;
    const absl::Time idle = once_ ? absl::InfiniteFuture() : wal_->idle_time();
    const bool popped = Pop(group_open_ ? group_deadline_ : idle, item);
    const bool ends_group = !popped || item.exclusive != nullptr;
    if (ends_group && group_open_) CommitGroup().IgnoreError();  // told to every batch in it
    if (!popped) {
      if (Stopped()) break;
      if (!was_open) wal_->OnIdle();
      continue;
    }
    if (item.exclusive != nullptr) {
      item.exclusive();
      continue;
    }
    if (once_) {
      AppendOnce(item);
      continue;
    }
    AppendItem(item);
    const bool full = group_bytes_ >= options_.commit_bytes;
    if (group_open_ && (full || absl::Now() >= group_limit_)) CommitGroup().IgnoreError();
  }
  if (once_) EndOnce(absl::OkStatus()).IgnoreError();  // an import without its end, or none
  inserter_.reset();
  wal_->Truncate();  // closing tries again
  wal_.reset();
}

bool Writer::Stopped() {
  absl::MutexLock lock(&mutex_);
  return stopping_ && queue_.empty();
}

void Writer::AppendItem(Item& item) {
  if (!group_open_) {
    absl::Status ready = CheckWritable();
    if (ready.ok()) ready = database_->Execute("BEGIN IMMEDIATE");
    if (!ready.ok()) {
      item.done(ready);
      return;
    }
    group_open_ = true;
    group_bytes_ = 0;
    group_limit_ = absl::Now() + options_.commit_delay;
  }
  absl::StatusOr<AppendResult> result =
      inserter_->Insert(item.capture_id, item.batch, item.replace);
  group_deadline_ = std::min(group_limit_, absl::Now() + options_.commit_quiet);
  if (result.ok()) {
    group_bytes_ += item.batch.bytes();
    pending_.push_back({std::move(item.done), *std::move(result)});
    return;
  }
  if (!IsAboutItemOnly(result.status())) FailGroup(result.status());
  item.done(result.status());
}

absl::Status Writer::CommitGroup() {
  absl::Status status = inserter_->Flush();
  wal_->Reserve(group_bytes_ + group_bytes_ / 4);  // rows, tree pages and rewritten leaves
  if (status.ok()) status = database_->Execute("COMMIT");
  if (!status.ok()) {
    FailGroup(status);
    return status;
  }
  group_open_ = false;
  std::vector<Pending> committed;
  committed.swap(pending_);
  for (const Pending& pending : committed) pending.done(pending.result);
  wal_->AfterCommit();  // nobody waits for it
  return absl::OkStatus();
}

void Writer::FailGroup(const absl::Status& status) {
  if (database_->InTransaction()) database_->Execute("ROLLBACK").IgnoreError();
  inserter_->Forget();
  NoteFailure(status);
  group_open_ = false;
  std::vector<Pending> failed;
  failed.swap(pending_);
  for (const Pending& pending : failed) pending.done(status);
}

absl::Status Writer::RunTask(Kind kind, const Task& task) {
  if (kind != Kind::kFrees) RETURN_IF_ERROR(CheckWritable());
  const absl::Status status = once_ ? RunOnce(kind, task) : RunInTransaction(task);
  inserter_->Forget();
  NoteFailure(status);
  RETURN_IF_ERROR(status);
  if (once_) return absl::OkStatus();
  if (kind == Kind::kFrees) {
    // The deletion is committed; a reader in the way only delays the shrinking.
    database_->Execute("PRAGMA incremental_vacuum").IgnoreError();
    wal_->Truncate();
  } else {
    wal_->AfterCommit();
  }
  return absl::OkStatus();
}

absl::Status Writer::RunInTransaction(const Task& task) {
  ASSIGN_OR_RETURN(Transaction transaction, Transaction::Begin(*database_));
  RETURN_IF_ERROR(task(*database_, *inserter_));
  return transaction.Commit();
}

void Writer::AppendOnce(Item& item) {
  const absl::Status ready = CheckWritable();
  const absl::StatusOr<AppendResult> result =
      ready.ok() ? inserter_->Insert(item.capture_id, item.batch, item.replace) : ready;
  if (!result.ok() && !IsAboutItemOnly(result.status())) {
    EndOnce(result.status()).IgnoreError();  // that status again
  }
  item.done(result);
}

absl::Status Writer::RunOnce(Kind kind, const Task& task) {
  absl::Status status = inserter_->Flush();
  if (status.ok()) status = task(*database_, *inserter_);
  return status.ok() && kind == Kind::kBeginsImport ? status : EndOnce(std::move(status));
}

absl::Status Writer::EndOnce(absl::Status status) {
  if (status.ok()) status = inserter_->Flush();
  if (status.ok()) status = database_->Execute("COMMIT");
  if (!status.ok() && database_->InTransaction()) database_->Execute("ROLLBACK").IgnoreError();
  inserter_->Forget();
  NoteFailure(status);
  once_ = false;
  EndWriteOnce(*database_).IgnoreError();  // what is committed is committed
  wal_ = std::make_unique<WalKeeper>(*database_);
  return status;
}

absl::Status Writer::CheckWritable() {
  RETURN_IF_ERROR(broken_);
  struct statvfs disk;
  if (statvfs(DirectoryOf(database_->path()).c_str(), &disk) != 0) return absl::OkStatus();
  const int64_t free_bytes = static_cast<int64_t>(disk.f_bavail) * disk.f_frsize;
  if (free_bytes >= options_.min_free_bytes) return absl::OkStatus();
  return absl::ResourceExhaustedError(
      absl::StrCat(database_->path(), ": the disk has ", free_bytes / kMiB, " MiB free, and ",
                   options_.min_free_bytes / kMiB,
                   " MiB are to stay (--min-free-mib); delete runs or make room"));
}

void Writer::NoteFailure(const absl::Status& status) {
  if (absl::IsDataLoss(status) && broken_.ok()) broken_ = status;
}

}  // namespace parity::store
