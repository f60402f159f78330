// Puts batches into the tables, inside a transaction that somebody else commits.
#ifndef PARITY_COLLECTOR_STORE_BATCH_INSERTER_H_
#define PARITY_COLLECTOR_STORE_BATCH_INSERTER_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "collector/store/append.h"
#include "collector/store/database.h"
#include "collector/store/tensor_batch.h"

namespace parity::store {

// Holds prepared statements and what it knows of the tables. On the writer thread only; must not
// outlive its Database.
class BatchInserter {
 public:
  static absl::StatusOr<std::unique_ptr<BatchInserter>> Create(Database& database);

  // Inserts one batch. With `replace` the last value of a key wins, else the first.
  // FAILED_PRECONDITION (sealed) and NOT_FOUND (deleted) leave the transaction as it was; any other
  // error means it must be rolled back.
  absl::StatusOr<AppendResult> Insert(int64_t capture_id, const TensorBatch& batch, bool replace);

  // Writes the capture totals of this transaction. Call before COMMIT.
  absl::Status Flush();

  // Forgets what it knows: call after a rollback, and after anybody else changed captures.
  void Forget();

  // Row id of a checkpoint, created when new.
  absl::StatusOr<int64_t> CheckpointId(const std::string& name);

 private:
  struct Totals {
    int64_t tensors = 0;
    int64_t bytes = 0;
    int64_t non_finite = 0;
  };
  struct KnownCapture {
    bool sealed = false;
    absl::flat_hash_set<int64_t> checkpoints;
    Totals totals;  // not yet written
  };
  struct Key {
    int64_t capture_id;
    int64_t position;
    int64_t checkpoint_id;
  };

  explicit BatchInserter(Database& database) : database_(database) {}
  absl::Status Prepare();
  absl::StatusOr<KnownCapture*> Find(int64_t capture_id);
  absl::Status InsertToken(int64_t capture_id, const BatchToken& token, AppendResult& result);
  absl::Status InsertTensor(const Key& key, const TensorRecord& tensor, int64_t blob_id,
                            bool replace, KnownCapture& capture, AppendResult& result);
  absl::Status OnTaken(const Key& key, const TensorRecord& tensor, int64_t blob_id, bool replace,
                       KnownCapture& capture, AppendResult& result);
  absl::Status InsertBlob(int64_t capture_id, int64_t blob_id, const std::string& data);
  void BindTensor(Statement& statement, const Key& key, const TensorRecord& tensor,
                  int64_t blob_id);

  Database& database_;
  Statement select_capture_, select_checkpoint_, insert_checkpoint_, insert_capture_checkpoint_;
  Statement insert_token_, insert_tensor_, select_tensor_, replace_tensor_, insert_blob_;
  Statement update_totals_;
  int64_t next_blob_id_ = 0;  // 0: not known
  absl::flat_hash_map<std::string, int64_t> checkpoint_ids_;
  absl::flat_hash_map<int64_t, KnownCapture> captures_;
};

}  // namespace parity::store

#endif  // PARITY_COLLECTOR_STORE_BATCH_INSERTER_H_
