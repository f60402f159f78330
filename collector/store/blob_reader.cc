#include "collector/store/blob_reader.h"

#include <sqlite3.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "collector/store/database.h"
#include "proto/status/status_macros.h"

namespace parity::store {
namespace {

// One page of the database: two sides' buffers and the pages they come from fit a core's L2.
constexpr int64_t kAheadBytes = 64 << 10;

}  // namespace

std::unique_ptr<BlobReader> BlobReader::Ahead() const {
  auto reader = std::make_unique<BlobReader>(database_);
  reader->ahead_bytes_ = kAheadBytes;
  return reader;
}

void BlobReader::Release() {
  if (open_ != nullptr) sqlite3_blob_close(open_);
  open_ = nullptr;
  open_id_ = 0;
}

absl::Status BlobReader::Open(int64_t blob_id) {
  if (blob_id == open_id_) return absl::OkStatus();
  int code = SQLITE_OK;
  if (open_ == nullptr) {
    code = sqlite3_blob_open(database_->handle(), "main", "blobs", "data", blob_id, 0, &open_);
  } else {
    code = sqlite3_blob_reopen(open_, blob_id);  // its way down the tree is still in memory
  }
  if (code == SQLITE_OK) {
    open_id_ = blob_id;
    return absl::OkStatus();
  }
  const absl::Status error = database_->Error(code);
  Release();
  if (code != SQLITE_ERROR) return error;
  return absl::AbortedError(absl::StrCat(database_->path(), ": blob ", blob_id,
                                         " is gone; the capture was deleted or replaced"));
}

absl::Status BlobReader::Fill(int64_t offset, int64_t bytes) {
  blob_id_ = 0;
  if (bytes > capacity_) {
    capacity_ = std::max(bytes, 2 * capacity_);
    buffer_ = std::unique_ptr<char[]>(new char[capacity_]);
  }
  const int code =
      sqlite3_blob_read(open_, buffer_.get(), static_cast<int>(bytes), static_cast<int>(offset));
  if (code != SQLITE_OK) return database_->Error(code);
  blob_id_ = open_id_;
  begin_ = offset;
  size_ = bytes;
  return absl::OkStatus();
}

absl::StatusOr<absl::string_view> BlobReader::Read(int64_t blob_id, int64_t offset, int64_t bytes) {
  const bool there = blob_id == blob_id_ && offset >= begin_ && bytes <= begin_ + size_ - offset;
  if (!there) {
    RETURN_IF_ERROR(Open(blob_id));
    const int64_t size = sqlite3_blob_bytes(open_);
    absl::Status status;
    if (offset > size || bytes > size - offset) {
      status =
          absl::DataLossError(absl::StrCat(database_->path(), ": blob ", blob_id, " has ", size,
                                           " bytes, a tensor row expects ", bytes, " at ", offset));
    } else if (ahead_bytes_ == 0) {
      status = Fill(0, size);
    } else {
      status = Fill(offset, std::max(bytes, std::min(ahead_bytes_, size - offset)));
    }
    if (ahead_bytes_ == 0 || !status.ok()) Release();
    RETURN_IF_ERROR(status);
  }
  return absl::string_view(buffer_.get() + (offset - begin_), static_cast<size_t>(bytes));
}

}  // namespace parity::store
