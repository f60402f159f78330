// Reads whole blobs by id, one after the other, into one buffer.
#ifndef PARITY_COLLECTOR_STORE_BLOB_READER_H_
#define PARITY_COLLECTOR_STORE_BLOB_READER_H_

#include <cstdint>
#include <memory>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "collector/store/database.h"

namespace parity::store {

// Used by one thread at a time; must not outlive its Database. Holds no read transaction between
// calls.
class BlobReader {
 public:
  explicit BlobReader(Database& database) : database_(database) {}

  // Valid until the next Read. Asking for the same id again is free. ABORTED when it was deleted.
  absl::StatusOr<absl::string_view> Read(int64_t blob_id);

 private:
  Database& database_;
  std::unique_ptr<char[]> buffer_;  // not a string: it need not be cleared before it is filled
  int64_t capacity_ = 0;
  int64_t size_ = 0;
  int64_t blob_id_ = 0;  // 0: none
};

}  // namespace parity::store

#endif  // PARITY_COLLECTOR_STORE_BLOB_READER_H_
