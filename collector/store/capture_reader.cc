#include "collector/store/capture_reader.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "collector/store/blob_reader.h"
#include "collector/store/database.h"
#include "proto/status/status_macros.h"
#include "proto/tensor/values.h"

namespace parity::store {
namespace {

// Every column named costs a tenth of a row's time, so the statistics are read only where wanted.
constexpr absl::string_view kColumns =
    "SELECT position, checkpoint_id, blob_id, blob_offset, bytes, dtype, shape, elements,"
    " stored_elements, checksum, flags";
constexpr absl::string_view kStatisticsColumns = ", nan_count, inf_count, min, max, mean, rms";
constexpr absl::string_view kFromRows =
    " FROM tensors WHERE capture_id = ? AND position BETWEEN ? AND ?"
    " ORDER BY position, checkpoint_id";

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

absl::Status CheckRow(const TensorRow& row) {
  const int element_bytes = tensor::ElementBytes(row.dtype);
  const bool sound = row.position >= 0 && row.checkpoint >= 0 && element_bytes > 0 &&
                     row.stored_elements >= 0 && row.stored_elements <= row.elements &&
                     row.bytes >= 0 && row.bytes <= tensor::kMaxTensorBytes && row.offset >= 0 &&
                     row.bytes == row.stored_elements * element_bytes;
  if (sound) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat(
      "a tensor row at position ", row.position, " contradicts itself (dtype ", row.dtype, ", ",
      row.stored_elements, " of ", row.elements, " elements in ", row.bytes, " bytes)"));
}

void ReadStatistics(const Statement& statement, TensorRow& row) {
  Statistics& statistics = row.statistics;
  statistics.nan_count = statement.Int(11);
  statistics.inf_count = statement.Int(12);
  statistics.finite = row.stored_elements - statistics.nan_count - statistics.inf_count;
  statistics.min = statement.Double(13);  // NULL reads as 0
  statistics.max = statement.Double(14);
  statistics.mean = statement.Double(15);
  statistics.rms = statement.Double(16);
}

}  // namespace

CaptureReader::CaptureReader(std::unique_ptr<Database> database, int64_t capture_id,
                             std::string run, v1::Capture capture,
                             std::vector<CheckpointInfo> checkpoints,
                             std::vector<int64_t> checkpoint_ids)
    : database_(std::move(database)),
      blobs_(std::make_unique<BlobReader>(*database_)),
      capture_id_(capture_id),
      run_(std::move(run)),
      capture_(std::move(capture)),
      checkpoints_(std::move(checkpoints)),
      checkpoint_ids_(std::move(checkpoint_ids)) {}

CaptureReader::~CaptureReader() = default;

absl::StatusOr<int32_t> CaptureReader::InternShape(absl::string_view text, int32_t guess) {
  if (guess >= 0 && shape_texts_[guess] == text) return guess;
  const auto found = std::find(shape_texts_.begin(), shape_texts_.end(), text);
  if (found != shape_texts_.end()) return static_cast<int32_t>(found - shape_texts_.begin());
  ASSIGN_OR_RETURN(std::vector<int64_t> shape, tensor::ParseShape(text));
  shapes_.push_back(std::move(shape));
  shape_texts_.push_back(std::string(text));
  return static_cast<int32_t>(shapes_.size() - 1);
}

absl::StatusOr<std::vector<TensorRow>> CaptureReader::ReadTensors(const RowFilter& filter) {
  const std::string sql = absl::StrCat(
      kColumns, filter.with_statistics ? kStatisticsColumns : absl::string_view(), kFromRows);
  ASSIGN_OR_RETURN(Statement statement, database_->Prepare(sql.c_str()));
  statement.Bind(1, capture_id_);
  statement.Bind(2, filter.first_position);
  statement.Bind(3, filter.last_position);
  CheckpointIndex index(checkpoint_ids_);
  std::vector<int32_t> last_shape(checkpoints_.size(), -1);  // of each checkpoint: rarely changes
  std::vector<TensorRow> rows;
  if (capture_.tensors() > 0 && capture_.tensors() < (1 << 22)) rows.reserve(capture_.tensors());
  while (true) {
    ASSIGN_OR_RETURN(const bool more, statement.Step());
    if (!more) break;
    TensorRow row;
    row.checkpoint = index.Find(statement.Int(1));
    const bool wanted = row.checkpoint < 0 || filter.checkpoints.empty() ||
                        (static_cast<size_t>(row.checkpoint) < filter.checkpoints.size() &&
                         filter.checkpoints[row.checkpoint]);
    if (!wanted) continue;
    row.position = static_cast<int32_t>(statement.Int(0));
    row.blob_id = statement.Int(2);
    row.offset = statement.Int(3);
    row.bytes = statement.Int(4);
    row.dtype = static_cast<v1::DType>(statement.Int(5));
    row.elements = statement.Int(7);
    row.stored_elements = statement.Int(8);
    row.checksum = static_cast<uint64_t>(statement.Int(9));
    row.not_substituted = (statement.Int(10) & 1) != 0;
    RETURN_IF_ERROR(CheckRow(row));
    ASSIGN_OR_RETURN(row.shape, InternShape(statement.Text(6), last_shape[row.checkpoint]));
    last_shape[row.checkpoint] = row.shape;
    if (filter.with_statistics) ReadStatistics(statement, row);
    rows.push_back(row);
  }
  // Ids rise in the order of first arrival, which is forward order unless captures differ in their
  // checkpoints.
  if (!std::is_sorted(rows.begin(), rows.end(), IsBefore)) {
    std::sort(rows.begin(), rows.end(), IsBefore);
  }
  return rows;
}

absl::StatusOr<std::vector<v1::TokenRecord>> CaptureReader::ReadTokens() {
  ASSIGN_OR_RETURN(Statement statement, database_->Prepare(kSelectTokens));
  statement.Bind(1, capture_id_);
  std::vector<v1::TokenRecord> tokens;
  while (true) {
    ASSIGN_OR_RETURN(const bool more, statement.Step());
    if (!more) return tokens;
    v1::TokenRecord& token = tokens.emplace_back();
    token.set_team(capture_.team());
    token.set_position(static_cast<int32_t>(statement.Int(0)));
    token.set_input_token_id(static_cast<int32_t>(statement.Int(1)));
    token.set_phase(static_cast<v1::Phase>(statement.Int(2)));
    if (!statement.IsNull(3)) token.set_chosen_token_id(static_cast<int32_t>(statement.Int(3)));
    token.set_chosen_text(std::string(statement.Text(4)));
  }
}

absl::StatusOr<absl::string_view> CaptureReader::ReadData(const TensorRow& row) {
  ASSIGN_OR_RETURN(const absl::string_view blob, blobs_->Read(row.blob_id));
  const int64_t size = static_cast<int64_t>(blob.size());
  if (row.offset > size || row.bytes > size - row.offset) {
    return absl::DataLossError(absl::StrCat(database_->path(), ": blob ", row.blob_id, " has ",
                                            size, " bytes, a tensor row expects ", row.bytes,
                                            " at ", row.offset));
  }
  return blob.substr(row.offset, row.bytes);
}

absl::StatusOr<v1::Tensor> CaptureReader::ToTensor(const TensorRow& row, bool with_data) {
  v1::Tensor tensor;
  tensor.set_checkpoint(checkpoints_[row.checkpoint].name);
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
  filter.checkpoints.assign(checkpoints_.size(), false);
  for (size_t i = 0; i < checkpoints_.size(); ++i) {
    filter.checkpoints[i] = checkpoints_[i].name == checkpoint;
  }
  std::vector<TensorRow> rows;
  if (!checkpoints_.empty()) {
    ASSIGN_OR_RETURN(rows, ReadTensors(filter));
  }
  if (!rows.empty()) return ToTensor(rows.front(), /*with_data=*/true);
  return absl::NotFoundError(absl::StrCat("run \"", run_, "\", team \"", capture_.team(),
                                          "\" has no \"", checkpoint, "\" at position ", position));
}

}  // namespace parity::store
