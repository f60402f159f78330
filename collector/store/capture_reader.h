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
class RowScan;
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

// What a capture was when its reader was opened.
struct CaptureHeader {
  int64_t id = 0;
  std::string run;
  v1::Capture capture;
  std::vector<CheckpointInfo> checkpoints;  // in forward order (ordinal, then name)
  std::vector<int64_t> checkpoint_ids;      // row ids, parallel to checkpoints
};

// Used by one thread at a time; readers on different connections run in parallel. Holds no read
// transaction between calls: what is read is what is committed at each call. Of a capture deleted
// meanwhile no rows are found (CheckExists tells), and its data give ABORTED.
class CaptureReader {
 public:
  // Use CaptureStore::OpenCapture.
  CaptureReader(std::shared_ptr<Database> database, std::shared_ptr<const CaptureHeader> header);
  ~CaptureReader();

  // A reader of `other`'s capture on this reader's connection.
  std::unique_ptr<CaptureReader> Beside(const CaptureReader& other) const;

  const std::shared_ptr<const CaptureHeader>& header() const { return header_; }
  int64_t capture_id() const { return header_->id; }
  const std::string& run() const { return header_->run; }
  const v1::Capture& capture() const { return header_->capture; }
  const std::vector<CheckpointInfo>& checkpoints() const { return header_->checkpoints; }

  // ABORTED when the capture was deleted or replaced since.
  absl::Status CheckExists();
  // Rows by (position, checkpoint index). DATA_LOSS when a row contradicts itself.
  absl::StatusOr<std::vector<TensorRow>> ReadTensors(const RowFilter& filter = {});
  // The same into `rows`, whose memory is used again.
  absl::Status ReadTensors(const RowFilter& filter, std::vector<TensorRow>* rows);
  // By position.
  absl::StatusOr<std::vector<v1::TokenRecord>> ReadTokens();
  // The row's bytes; valid until the next ReadData of this reader. Rows that share a blob cost one
  // read when visited one after the other.
  absl::StatusOr<absl::string_view> ReadData(const TensorRow& row);
  // A BlobReader::Ahead on this reader's connection.
  std::unique_ptr<BlobReader> ReadAhead() const;

  // REQUIRES: `row` came from this reader, read with its shape.
  const std::vector<int64_t>& shape(const TensorRow& row) const { return shapes_[row.shape]; }
  // The row as it was sent, with or without its bytes.
  absl::StatusOr<v1::Tensor> ToTensor(const TensorRow& row, bool with_data);
  // NOT_FOUND when the capture has no such tensor.
  absl::StatusOr<v1::Tensor> ReadTensor(int32_t position, absl::string_view checkpoint);

 private:
  // The prepared query for these columns.
  absl::StatusOr<RowScan*> ScanOf(RowFilter::Columns wanted);
  // DATA_LOSS naming the row.
  absl::Status Damaged(const TensorRow& row, absl::string_view what) const;
  absl::Status CheckRow(const TensorRow& row) const;
  absl::StatusOr<int32_t> InternShape(absl::string_view text, int32_t guess);
  // Fills all but the checkpoint, which is known.
  absl::Status ReadRow(const ScannedRow& columns, const RowFilter& filter, TensorRow& row);

  std::shared_ptr<Database> database_;
  std::unique_ptr<BlobReader> blobs_;  // after database_: goes first
  std::unique_ptr<RowScan> scan_;      // the last that was asked for
  RowFilter::Columns scan_columns_ = RowFilter::Columns::kAll;
  const std::shared_ptr<const CaptureHeader> header_;
  std::vector<std::vector<int64_t>> shapes_;
  std::vector<std::string> shape_texts_;  // parallel to shapes_
  std::vector<int32_t> last_shapes_;      // of each checkpoint, -1: none yet; it rarely changes
};

}  // namespace parity::store

#endif  // PARITY_COLLECTOR_STORE_CAPTURE_READER_H_
