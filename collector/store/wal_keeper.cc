#include "collector/store/wal_keeper.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <unistd.h>

#include <algorithm>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"

namespace parity::store {
namespace {

constexpr int64_t kFrameHeaderBytes = 24;  // before every page in the log

// A checkpoint in the middle of a stream writes every byte once more just when the disk is busiest:
// 96 tokens of a small model captured in full are 139 MB, and should fit.
constexpr int64_t kFullBytes = 256 << 20;

// Blocks that exist already are written and synced 3 to 5 times as fast as new ones (ext4: no
// journal transaction for each sync). Small captures do without.
constexpr int64_t kFirstReserve = 4 << 20;
constexpr int64_t kMostReserved = kFullBytes + (32 << 20);

constexpr absl::Duration kCheckpointAfter = absl::Milliseconds(500);
constexpr absl::Duration kTruncateAfter = absl::Seconds(30);

}  // namespace

WalKeeper::WalKeeper(Database& database)
    : database_(database), wal_path_(absl::StrCat(database.path(), "-wal")) {
  const absl::StatusOr<int64_t> page_bytes = database_.QueryInt("PRAGMA page_size");
  page_bytes_ = page_bytes.ok() ? *page_bytes : 0;
  sqlite3_wal_hook(database_.handle(), &WalKeeper::OnCommitted, this);
}

WalKeeper::~WalKeeper() { sqlite3_wal_hook(database_.handle(), nullptr, nullptr); }

int WalKeeper::OnCommitted(void* self, sqlite3*, const char*, int pages) {
  WalKeeper& keeper = *static_cast<WalKeeper*>(self);
  keeper.used_bytes_ = pages * (keeper.page_bytes_ + kFrameHeaderBytes);
  keeper.committed_ = true;
  return SQLITE_OK;
}

void WalKeeper::Reserve(int64_t bytes) {
  const int64_t needed = used_bytes_ + bytes;
  if (needed <= std::max(allocated_bytes_, kFirstReserve) || allocated_bytes_ >= kMostReserved) {
    return;
  }
  // Twice what is there: a long stream asks seldom, a short one wastes little.
  const int64_t wanted = std::min(std::max(2 * needed, allocated_bytes_), kMostReserved);
  const int fd = open(wal_path_.c_str(), O_WRONLY | O_CLOEXEC);
  if (fd < 0) return;
  // Zeros behind the last frame end the log for SQLite's recovery, as they should.
  if (fallocate(fd, 0, 0, wanted) == 0) allocated_bytes_ = wanted;
  close(fd);
}

void WalKeeper::AfterCommit() {
  if (!committed_) return;
  if (used_bytes_ >= kFullBytes) {
    database_.Execute("PRAGMA wal_checkpoint(PASSIVE)").IgnoreError();  // the next one tries again
  }
  idle_time_ = absl::Now() + kCheckpointAfter;
}

void WalKeeper::OnIdle() {
  if (!committed_) {
    database_.SetWaiting(false);  // a long reader must not hold up what comes
    Truncate();
    database_.SetWaiting(true);
    return;
  }
  database_.Execute("PRAGMA wal_checkpoint(PASSIVE)").IgnoreError();
  committed_ = false;
  idle_time_ = absl::Now() + kTruncateAfter;
}

void WalKeeper::Truncate() {
  database_.Execute("PRAGMA wal_checkpoint(TRUNCATE)").IgnoreError();  // a reader may be in the way
  used_bytes_ = 0;
  allocated_bytes_ = 0;
  committed_ = false;
  idle_time_ = absl::InfiniteFuture();
}

}  // namespace parity::store
