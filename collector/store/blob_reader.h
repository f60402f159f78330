// Reads parts of blobs by id, in order, through one buffer.
#ifndef PARITY_COLLECTOR_STORE_BLOB_READER_H_
#define PARITY_COLLECTOR_STORE_BLOB_READER_H_

#include <cstdint>
#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

struct sqlite3_blob;

namespace parity::store {

class Database;

// Readers of one connection are used by one thread at a time. Ids are never given out twice, so
// that what is read is what the id's row was made for.
class BlobReader {
 public:
  // Reads whole blobs and holds no read transaction between calls.
  explicit BlobReader(std::shared_ptr<Database> database) : database_(std::move(database)) {}
  ~BlobReader() { Release(); }
  BlobReader(const BlobReader&) = delete;
  BlobReader& operator=(const BlobReader&) = delete;

  // Another one on the same connection. It reads just ahead of what is asked for, so that the bytes
  // are in the processor's cache when they are used, and holds a read transaction until Release.
  std::unique_ptr<BlobReader> Ahead() const;

  // Valid until the next Read; in the order of their offsets a blob's parts cost one read. ABORTED
  // when the blob was deleted, DATA_LOSS when it ends before. REQUIRES: offset, bytes >= 0.
  absl::StatusOr<absl::string_view> Read(int64_t blob_id, int64_t offset, int64_t bytes);

  // Ends the read transaction, so that the log of what others write can be emptied.
  void Release();

 private:
  absl::Status Open(int64_t blob_id);
  // Fills the buffer with [offset, offset + bytes) of the open blob.
  absl::Status Fill(int64_t offset, int64_t bytes);

  const std::shared_ptr<Database> database_;
  int64_t ahead_bytes_ = 0;  // 0: the whole blob
  sqlite3_blob* open_ = nullptr;
  int64_t open_id_ = 0;
  std::unique_ptr<char[]> buffer_;  // not a string: it need not be cleared before it is filled
  int64_t capacity_ = 0;
  int64_t blob_id_ = 0;  // of what is in the buffer; 0: nothing
  int64_t begin_ = 0;    // where in the blob that is
  int64_t size_ = 0;
};

}  // namespace parity::store

#endif  // PARITY_COLLECTOR_STORE_BLOB_READER_H_
