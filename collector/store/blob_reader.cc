#include "collector/store/blob_reader.h"

#include <sqlite3.h>

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace parity::store {

absl::StatusOr<absl::string_view> BlobReader::Read(int64_t blob_id) {
  if (blob_id == blob_id_ && blob_id != 0) {
    return absl::string_view(buffer_.get(), static_cast<size_t>(size_));
  }
  blob_id_ = 0;
  // Opened anew each time: an open handle would keep its snapshot and so the WAL from shrinking.
  sqlite3_blob* blob = nullptr;
  int code = sqlite3_blob_open(database_.handle(), "main", "blobs", "data", blob_id, 0, &blob);
  if (code == SQLITE_ERROR) {
    return absl::AbortedError(absl::StrCat(database_.path(), ": blob ", blob_id,
                                           " is gone; the capture was deleted or replaced"));
  }
  if (code != SQLITE_OK) return database_.Error(code);
  size_ = sqlite3_blob_bytes(blob);
  if (size_ > capacity_) {
    capacity_ = std::max<int64_t>(size_, 2 * capacity_);
    buffer_ = std::unique_ptr<char[]>(new char[capacity_]);
  }
  code = sqlite3_blob_read(blob, buffer_.get(), static_cast<int>(size_), 0);
  const absl::Status error = code == SQLITE_OK ? absl::OkStatus() : database_.Error(code);
  sqlite3_blob_close(blob);
  if (!error.ok()) return error;
  blob_id_ = blob_id;
  return absl::string_view(buffer_.get(), static_cast<size_t>(size_));
}

}  // namespace parity::store
