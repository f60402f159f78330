#include "collector/store/capture_reader.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "collector/store/blob_reader.h"
#include "collector/store/database.h"
#include "collector/store/row_scan.h"
#include "proto/status/status_macros.h"
#include "proto/tensor/values.h"

namespace parity::store {
namespace {

// Every column named costs a twelfth of a row's time, so the rest is read only where wanted.
constexpr absl::string_view kPlaceColumns =
    "position, checkpoint_id, blob_id, blob_offset, bytes, dtype, elements";
constexpr absl::string_view kShapeColumns = ", flags, shape, stored_elements, checksum";
constexpr absl::string_view kStatisticsColumns = ", nan_count, inf_count, min, max, mean, rms";
constexpr absl::string_view kFromRows =
    "tensors WHERE capture_id = ?1 AND position BETWEEN ?2 AND ?3";

constexpr char kSelectTokens[] =
    "SELECT position, input_token_id, phase, chosen_token_id, text FROM tokens"
    " WHERE capture_id = ? ORDER BY position";

bool IsBefore(const TensorRow& a, const TensorRow& b) {
  return a.position != b.position ? a.position < b.position : a.checkpoint < b.checkpoint;
}

// Row id to index into checkpoints(): a search in a few hundred sorted pairs.
class CheckpointIndex {
 public:
  explicit CheckpointIndex(const std::vector<int64_t>& ids) {
    for (size_t i = 0; i < ids.size(); ++i) pairs_.emplace_back(ids[i], static_cast<int32_t>(i));
    std::sort(pairs_.begin(), pairs_.end());
  }
  // -1 when unknown.
  int32_t Find(int64_t id) {
    // Rows come in the order of the ids within a position, so the next pair is nearly always it.
    if (next_ < pairs_.size() && pairs_[next_].first == id) return pairs_[next_++].second;
    const auto found =
        std::lower_bound(pairs_.begin(), pairs_.end(), std::pair<int64_t, int32_t>(id, -1));
    if (found == pairs_.end() || found->first != id) return -1;
    next_ = static_cast<size_t>(found - pairs_.begin()) + 1;
    return found->second;
  }

 private:
  std::vector<std::pair<int64_t, int32_t>> pairs_;
  size_t next_ = 0;
};

bool IsSound(const TensorRow& row) {
  const int element_bytes = tensor::ElementBytes(row.dtype);
  return row.position >= 0 && row.checkpoint >= 0 && element_bytes > 0 &&
         row.stored_elements >= 0 && row.stored_elements <= row.elements && row.bytes >= 0 &&
         row.bytes <= tensor::kMaxTensorBytes && row.offset >= 0 &&
         row.bytes == row.stored_elements * element_bytes;
}

void ReadStatistics(const ScannedRow& columns, TensorRow& row) {
  Statistics& statistics = row.statistics;
  statistics.nan_count = columns.Int(11);
  statistics.inf_count = columns.Int(12);
  statistics.finite = row.stored_elements - statistics.nan_count - statistics.inf_count;
  statistics.min = columns.Double(13);
  statistics.max = columns.Double(14);
  statistics.mean = columns.Double(15);
  statistics.rms = columns.Double(16);
}

}  // namespace

CaptureReader::CaptureReader(std::shared_ptr<Database> database,
                             std::shared_ptr<const CaptureHeader> header)
    : database_(std::move(database)),
      blobs_(std::make_unique<BlobReader>(database_)),
      header_(std::move(header)),
      last_shapes_(header_->checkpoints.size(), -1) {}

CaptureReader::~CaptureReader() = default;

std::unique_ptr<CaptureReader> CaptureReader::Beside(const CaptureReader& other) const {
  return std::make_unique<CaptureReader>(database_, other.header());
}

absl::Status CaptureReader::CheckExists() {
  ASSIGN_OR_RETURN(Statement statement, database_->Prepare("SELECT 1 FROM captures WHERE id = ?"));
  statement.Bind(1, capture_id());
  ASSIGN_OR_RETURN(const bool there, statement.Step());
  if (there) return absl::OkStatus();
  return absl::AbortedError(absl::StrCat(database_->path(), ": run \"", run(), "\", team \"",
                                         capture().team(), "\" was deleted or replaced meanwhile"));
}

absl::StatusOr<int32_t> CaptureReader::InternShape(absl::string_view text, int32_t guess) {
  if (guess >= 0 && shape_texts_[guess] == text) return guess;
  const auto found = std::find(shape_texts_.begin(), shape_texts_.end(), text);
  if (found != shape_texts_.end()) return static_cast<int32_t>(found - shape_texts_.begin());
  ASSIGN_OR_RETURN(std::vector<int64_t> shape, tensor::ParseShape(text));
  shapes_.push_back(std::move(shape));
  shape_texts_.push_back(std::string(text));
  return static_cast<int32_t>(shapes_.size() - 1);
}

absl::Status CaptureReader::Damaged(const TensorRow& row, absl::string_view what) const {
  const bool known = row.checkpoint >= 0;
  return absl::DataLossError(
      absl::StrCat(database_->path(), ": run \"", run(), "\", team \"", capture().team(), "\", ",
                   known ? checkpoints()[row.checkpoint].name : "an unknown checkpoint",
                   " at position ", row.position, ": ", what));
}

absl::Status CaptureReader::CheckRow(const TensorRow& row) const {
  if (IsSound(row)) return absl::OkStatus();
  return Damaged(row,
                 absl::StrCat("the row contradicts itself (dtype ", row.dtype, ", ", row.elements,
                              " elements, ", row.bytes, " bytes at ", row.offset, ")"));
}

absl::Status CaptureReader::ReadRow(const ScannedRow& columns, const RowFilter& filter,
                                    TensorRow& row) {
  row.position = static_cast<int32_t>(columns.Int(0));
  row.blob_id = columns.Int(2);
  row.offset = columns.Int(3);
  row.bytes = columns.Int(4);
  row.dtype = static_cast<v1::DType>(columns.Int(5));
  row.elements = columns.Int(6);
  const int element_bytes = tensor::ElementBytes(row.dtype);
  row.stored_elements = element_bytes > 0 ? row.bytes / element_bytes : 0;
  if (filter.columns == RowFilter::Columns::kPlace) return CheckRow(row);
  row.not_substituted = (columns.Int(7) & 1) != 0;
  row.stored_elements = columns.Int(9);
  row.checksum = static_cast<uint64_t>(columns.Int(10));
  if (filter.columns == RowFilter::Columns::kAll) ReadStatistics(columns, row);
  RETURN_IF_ERROR(CheckRow(row));
  int32_t& last_shape = last_shapes_[row.checkpoint];
  const absl::StatusOr<int32_t> shape = InternShape(columns.Text(8), last_shape);
  if (!shape.ok()) return Damaged(row, shape.status().message());
  row.shape = last_shape = *shape;
  return absl::OkStatus();
}

absl::StatusOr<std::vector<TensorRow>> CaptureReader::ReadTensors(const RowFilter& filter) {
  std::vector<TensorRow> rows;
  RETURN_IF_ERROR(ReadTensors(filter, &rows));
  return rows;
}

absl::StatusOr<RowScan*> CaptureReader::ScanOf(RowFilter::Columns wanted) {
  if (scan_ != nullptr && scan_columns_ == wanted) return scan_.get();
  std::string columns(kPlaceColumns);
  if (wanted != RowFilter::Columns::kPlace) absl::StrAppend(&columns, kShapeColumns);
  if (wanted == RowFilter::Columns::kAll) absl::StrAppend(&columns, kStatisticsColumns);
  ASSIGN_OR_RETURN(scan_, RowScan::Prepare(*database_, columns, kFromRows));
  scan_columns_ = wanted;
  return scan_.get();
}

absl::Status CaptureReader::ReadTensors(const RowFilter& filter, std::vector<TensorRow>* rows) {
  ASSIGN_OR_RETURN(RowScan * scan, ScanOf(filter.columns));
  CheckpointIndex index(header_->checkpoint_ids);
  rows->clear();
  const auto take = [&](const ScannedRow& scanned) -> absl::Status {
    const int32_t checkpoint = index.Find(scanned.Int(1));
    const bool wanted = checkpoint < 0 || filter.checkpoints.empty() ||
                        (static_cast<size_t>(checkpoint) < filter.checkpoints.size() &&
                         filter.checkpoints[checkpoint]);
    if (!wanted) return absl::OkStatus();
    rows->emplace_back().checkpoint = checkpoint;
    return ReadRow(scanned, filter, rows->back());
  };
  RETURN_IF_ERROR(scan->Run({capture_id(), filter.first_position, filter.last_position}, take));
  // Ids rise in the order of first arrival, which is forward order unless captures differ in their
  // checkpoints.
  if (!std::is_sorted(rows->begin(), rows->end(), IsBefore)) {
    std::sort(rows->begin(), rows->end(), IsBefore);
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<v1::TokenRecord>> CaptureReader::ReadTokens() {
  ASSIGN_OR_RETURN(Statement statement, database_->Prepare(kSelectTokens));
  statement.Bind(1, capture_id());
  std::vector<v1::TokenRecord> tokens;
  while (true) {
    ASSIGN_OR_RETURN(const bool more, statement.Step());
    if (!more) return tokens;
    v1::TokenRecord& token = tokens.emplace_back();
    token.set_team(capture().team());
    token.set_position(static_cast<int32_t>(statement.Int(0)));
    token.set_input_token_id(static_cast<int32_t>(statement.Int(1)));
    token.set_phase(static_cast<v1::Phase>(statement.Int(2)));
    if (!statement.IsNull(3)) token.set_chosen_token_id(static_cast<int32_t>(statement.Int(3)));
    token.set_chosen_text(std::string(statement.Text(4)));
  }
}

absl::StatusOr<absl::string_view> CaptureReader::ReadData(const TensorRow& row) {
  return blobs_->Read(row.blob_id, row.offset, row.bytes);
}

std::unique_ptr<BlobReader> CaptureReader::ReadAhead() const { return blobs_->Ahead(); }

absl::StatusOr<v1::Tensor> CaptureReader::ToTensor(const TensorRow& row, bool with_data) {
  v1::Tensor tensor;
  tensor.set_checkpoint(checkpoints()[row.checkpoint].name);
  tensor.set_dtype(row.dtype);
  for (const int64_t size : shape(row)) tensor.add_shape(size);
  if (with_data) {
    ASSIGN_OR_RETURN(const absl::string_view data, ReadData(row));
    tensor.mutable_data()->assign(data.data(), data.size());
  }
  tensor.set_total_elements(row.elements);
  tensor.set_xxh3(row.checksum);
  tensor.set_not_substituted(row.not_substituted);
  return tensor;
}

absl::StatusOr<v1::Tensor> CaptureReader::ReadTensor(int32_t position,
                                                     absl::string_view checkpoint) {
  RowFilter filter;
  filter.first_position = filter.last_position = position;
  filter.checkpoints.assign(checkpoints().size(), false);
  for (size_t i = 0; i < checkpoints().size(); ++i) {
    filter.checkpoints[i] = checkpoints()[i].name == checkpoint;
  }
  std::vector<TensorRow> rows;
  if (!checkpoints().empty()) {
    ASSIGN_OR_RETURN(rows, ReadTensors(filter));
  }
  if (!rows.empty()) return ToTensor(rows.front(), /*with_data=*/true);
  return absl::NotFoundError(absl::StrCat("run \"", run(), "\", team \"", capture().team(),
                                          "\" has no \"", checkpoint, "\" at position ", position));
}

}  // namespace parity::store
