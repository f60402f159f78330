// Reads one capture: its tensor rows, its token records and the tensors' bytes.
#ifndef PARITY_COLLECTOR_STORE_CAPTURE_READER_H_
#define PARITY_COLLECTOR_STORE_CAPTURE_READER_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "collector/store/row_filter.h"
#include "collector/store/statistics.h"
#include "parity/v1/checkpoint.pb.h"
#include "parity/v1/collector.pb.h"

namespace parity::store {

class BlobReader;
class Database;
class ScannedRow;

// One stored tensor. Sizes are checked: `bytes` fits `stored_elements` and `dtype`, and the blob
// range is checked when it is read.
struct TensorRow {
  int32_t position = 0;
  int32_t checkpoint = 0;  // index into CaptureReader::checkpoints()
  v1::DType dtype = v1::DTYPE_UNSPECIFIED;
  int64_t elements = 0;
  int64_t stored_elements = 0;
  int64_t blob_id = 0;
  int64_t offset = 0;
  int64_t bytes = 0;
  // From Columns::kShape on:
  int32_t shape = 0;  // index for CaptureReader::shape()
  bool not_substituted = false;
  uint64_t checksum = 0;
  // Columns::kAll:
  Statistics statistics;
};

// Used by one thread at a time; two readers run in parallel. Holds no read transaction between
// calls: what is read is what is committed at each call, and a capture deleted meanwhile gives
// ABORTED.
class CaptureReader {
 public:
  // Use CaptureStore::OpenCapture.
  CaptureReader(std::shared_ptr<Database> database, int64_t capture_id, std::string run,
                v1::Capture capture, std::vector<CheckpointInfo> checkpoints,
                std::vector<int64_t> checkpoint_ids);
  ~CaptureReader();

  int64_t capture_id() const { return capture_id_; }
  const std::string& run() const { return run_; }
  const v1::Capture& capture() const { return capture_; }
  // In forward order (ordinal, then name).
  const std::vector<CheckpointInfo>& checkpoints() const { return checkpoints_; }

  // Rows by (position, checkpoint index). DATA_LOSS when a row contradicts itself.
  absl::StatusOr<std::vector<TensorRow>> ReadTensors(const RowFilter& filter = {});
  // By position.
  absl::StatusOr<std::vector<v1::TokenRecord>> ReadTokens();
  // The row's bytes; valid until the next ReadData of this reader. Rows that share a blob cost one
  // read when visited one after the other.
  absl::StatusOr<absl::string_view> ReadData(const TensorRow& row);
  // A BlobReader::Ahead on this reader's connection, for rows of any capture in the file.
  std::unique_ptr<BlobReader> ReadAhead() const;

  // REQUIRES: `row` came from this reader, read with its shape.
  const std::vector<int64_t>& shape(const TensorRow& row) const { return shapes_[row.shape]; }
  // The row as it was sent, with or without its bytes.
  absl::StatusOr<v1::Tensor> ToTensor(const TensorRow& row, bool with_data);
  // NOT_FOUND when the capture has no such tensor.
  absl::StatusOr<v1::Tensor> ReadTensor(int32_t position, absl::string_view checkpoint);

 private:
  absl::StatusOr<int32_t> InternShape(absl::string_view text, int32_t guess);
  // Fills all but the checkpoint, which is known.
  absl::Status ReadRow(const ScannedRow& columns, const RowFilter& filter, TensorRow& row);

  std::shared_ptr<Database> database_;
  std::unique_ptr<BlobReader> blobs_;  // after database_: goes first
  const int64_t capture_id_;
  const std::string run_;
  const v1::Capture capture_;
  const std::vector<CheckpointInfo> checkpoints_;
  const std::vector<int64_t> checkpoint_ids_;  // row ids, parallel to checkpoints_
  std::vector<std::vector<int64_t>> shapes_;
  std::vector<std::string> shape_texts_;  // parallel to shapes_
  std::vector<int32_t> last_shapes_;      // of each checkpoint, -1: none yet; it rarely changes
};

}  // namespace parity::store

#endif  // PARITY_COLLECTOR_STORE_CAPTURE_READER_H_
