#include "collector/store/batch_inserter.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "proto/checkpoint/name.h"
#include "proto/status/status_macros.h"
#include "proto/tensor/values.h"

namespace parity::store {
namespace {

constexpr char kTensorColumns[] =
    " INTO tensors(capture_id, position, checkpoint_id, blob_id, blob_offset, bytes, dtype, shape,"
    " elements, stored_elements, checksum, flags, nan_count, inf_count, min, max, mean, rms)"
    " VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";

// What is known stays; what was not known is filled in. RETURNING shows which input id is kept.
constexpr char kInsertToken[] =
    "INSERT INTO tokens(capture_id, position, input_token_id, phase, chosen_token_id, text)"
    " VALUES(?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET"
    " input_token_id = iif(input_token_id = -1, excluded.input_token_id, input_token_id),"
    " phase = iif(phase = 0, excluded.phase, phase),"
    " chosen_token_id = coalesce(chosen_token_id, excluded.chosen_token_id),"
    " text = iif(length(text) = 0, excluded.text, text)"
    " RETURNING input_token_id, chosen_token_id";

constexpr char kSelectTensor[] =
    "SELECT checksum, dtype, shape, stored_elements, bytes, nan_count + inf_count FROM tensors"
    " WHERE capture_id = ? AND position = ? AND checkpoint_id = ?";

void NoteConflict(AppendResult& result, std::string text) {
  ++result.conflicting;
  if (result.first_conflict.empty()) result.first_conflict = std::move(text);
}

}  // namespace

absl::StatusOr<std::unique_ptr<BatchInserter>> BatchInserter::Create(Database& database) {
  std::unique_ptr<BatchInserter> inserter(new BatchInserter(database));
  RETURN_IF_ERROR(inserter->Prepare());
  return inserter;
}

absl::Status BatchInserter::Prepare() {
  ASSIGN_OR_RETURN(select_capture_, database_.Prepare("SELECT sealed FROM captures WHERE id = ?"));
  ASSIGN_OR_RETURN(select_checkpoint_,
                   database_.Prepare("SELECT id FROM checkpoints WHERE name = ?"));
  ASSIGN_OR_RETURN(
      insert_checkpoint_,
      database_.Prepare("INSERT INTO checkpoints(name, layer, stage, ordinal) VALUES(?, ?, ?, ?)"));
  ASSIGN_OR_RETURN(
      insert_capture_checkpoint_,
      database_.Prepare("INSERT INTO capture_checkpoints VALUES(?, ?) ON CONFLICT DO NOTHING"));
  ASSIGN_OR_RETURN(insert_token_, database_.Prepare(kInsertToken));
  const std::string insert = absl::StrCat("INSERT", kTensorColumns, " ON CONFLICT DO NOTHING");
  ASSIGN_OR_RETURN(insert_tensor_, database_.Prepare(insert.c_str()));
  const std::string replace = absl::StrCat("REPLACE", kTensorColumns);
  ASSIGN_OR_RETURN(replace_tensor_, database_.Prepare(replace.c_str()));
  ASSIGN_OR_RETURN(select_tensor_, database_.Prepare(kSelectTensor));
  ASSIGN_OR_RETURN(insert_blob_,
                   database_.Prepare("INSERT INTO blobs(id, capture_id, data) VALUES(?, ?, ?)"));
  ASSIGN_OR_RETURN(update_totals_,
                   database_.Prepare("UPDATE captures SET tensors = tensors + ?, bytes = bytes + ?,"
                                     " non_finite = non_finite + ? WHERE id = ?"));
  return absl::OkStatus();
}

absl::StatusOr<BatchInserter::KnownCapture*> BatchInserter::Find(int64_t capture_id) {
  auto found = captures_.find(capture_id);
  if (found == captures_.end()) {
    select_capture_.Bind(1, capture_id);
    ASSIGN_OR_RETURN(const bool row, select_capture_.Step());
    KnownCapture capture;
    if (row) capture.sealed = select_capture_.Int(0) != 0;
    select_capture_.Reset();
    if (!row) return absl::NotFoundError("the capture was deleted while it was being written");
    found = captures_.emplace(capture_id, std::move(capture)).first;
  }
  if (found->second.sealed) {
    return absl::FailedPreconditionError("the capture is sealed; delete it or use another name");
  }
  return &found->second;
}

absl::StatusOr<AppendResult> BatchInserter::Insert(int64_t capture_id, const TensorBatch& batch,
                                                   bool replace) {
  ASSIGN_OR_RETURN(KnownCapture * capture, Find(capture_id));
  if (next_blob_id_ == 0) {
    ASSIGN_OR_RETURN(
        const int64_t last,
        database_.QueryInt("SELECT max(coalesce((SELECT seq FROM sqlite_sequence WHERE name ="
                           " 'blobs'), 0), coalesce((SELECT max(id) FROM blobs), 0))"));
    next_blob_id_ = last + 1;
  }
  AppendResult result;
  const int64_t blob_id = next_blob_id_;
  for (const BatchToken& token : batch.tokens()) {
    RETURN_IF_ERROR(InsertToken(capture_id, token, result));
  }
  for (const TensorRecord& tensor : batch.tensors()) {
    ASSIGN_OR_RETURN(const int64_t checkpoint_id, CheckpointId(tensor.checkpoint));
    if (capture->checkpoints.insert(checkpoint_id).second) {
      insert_capture_checkpoint_.Bind(1, capture_id);
      insert_capture_checkpoint_.Bind(2, checkpoint_id);
      RETURN_IF_ERROR(insert_capture_checkpoint_.Run());
    }
    RETURN_IF_ERROR(InsertTensor({capture_id, tensor.position, checkpoint_id}, tensor, blob_id,
                                 replace, *capture, result));
  }
  if (result.stored > 0) RETURN_IF_ERROR(InsertBlob(capture_id, blob_id, batch.blob()));
  return result;
}

absl::Status BatchInserter::InsertToken(int64_t capture_id, const BatchToken& token,
                                        AppendResult& result) {
  insert_token_.Bind(1, capture_id);
  insert_token_.Bind(2, token.position);
  insert_token_.Bind(3, token.input_token_id);
  insert_token_.Bind(4, static_cast<int32_t>(token.phase));
  insert_token_.BindOptional(5, token.chosen_token_id);
  insert_token_.BindBlob(6, token.chosen_text);
  ASSIGN_OR_RETURN(const bool row, insert_token_.Step());
  if (row) {
    const int64_t input = insert_token_.Int(0);
    const int64_t chosen = insert_token_.Int(1);
    if (token.input_token_id != -1 && input != token.input_token_id) {
      NoteConflict(result, absl::StrFormat("position %d: input token id %d, but %d is stored",
                                           token.position, token.input_token_id, input));
    }
    if (token.chosen_token_id.has_value() && chosen != *token.chosen_token_id) {
      NoteConflict(result, absl::StrFormat("position %d: chosen token id %d, but %d is stored",
                                           token.position, *token.chosen_token_id, chosen));
    }
  }
  return insert_token_.Run();
}

void BatchInserter::BindTensor(Statement& statement, const Key& key, const TensorRecord& tensor,
                               int64_t blob_id) {
  statement.Bind(1, key.capture_id);
  statement.Bind(2, key.position);
  statement.Bind(3, key.checkpoint_id);
  statement.Bind(4, blob_id);
  statement.Bind(5, tensor.offset);
  statement.Bind(6, tensor.bytes);
  statement.Bind(7, static_cast<int32_t>(tensor.dtype));
  statement.Bind(8, tensor.shape);
  statement.Bind(9, tensor.elements);
  statement.Bind(10, tensor.stored_elements);
  statement.Bind(11, static_cast<int64_t>(tensor.checksum));
  statement.Bind(12, static_cast<int64_t>(tensor.not_substituted ? 1 : 0));
  statement.Bind(13, tensor.statistics.nan_count);
  statement.Bind(14, tensor.statistics.inf_count);
  if (tensor.statistics.finite > 0) {
    statement.Bind(15, tensor.statistics.min);
    statement.Bind(16, tensor.statistics.max);
    statement.Bind(17, tensor.statistics.mean);
    statement.Bind(18, tensor.statistics.rms);
  } else {
    for (int index = 15; index <= 18; ++index) statement.BindNull(index);
  }
}

absl::Status BatchInserter::InsertTensor(const Key& key, const TensorRecord& tensor,
                                         int64_t blob_id, bool replace, KnownCapture& capture,
                                         AppendResult& result) {
  BindTensor(insert_tensor_, key, tensor, blob_id);
  RETURN_IF_ERROR(insert_tensor_.Run());
  if (database_.Changes() == 0) return OnTaken(key, tensor, blob_id, replace, capture, result);
  ++result.stored;
  capture.totals.tensors += 1;
  capture.totals.bytes += tensor.bytes;
  capture.totals.non_finite += tensor.statistics.nan_count + tensor.statistics.inf_count;
  return absl::OkStatus();
}

absl::Status BatchInserter::OnTaken(const Key& key, const TensorRecord& tensor, int64_t blob_id,
                                    bool replace, KnownCapture& capture, AppendResult& result) {
  select_tensor_.Bind(1, key.capture_id);
  select_tensor_.Bind(2, key.position);
  select_tensor_.Bind(3, key.checkpoint_id);
  ASSIGN_OR_RETURN(const bool row, select_tensor_.Step());
  if (!row) return absl::DataLossError(absl::StrCat(database_.path(), ": a stored key is gone"));
  const uint64_t checksum = static_cast<uint64_t>(select_tensor_.Int(0));
  const auto dtype = static_cast<v1::DType>(select_tensor_.Int(1));
  const std::string shape(select_tensor_.Text(2));
  const int64_t stored_elements = select_tensor_.Int(3);
  const int64_t bytes = select_tensor_.Int(4);
  const int64_t non_finite = select_tensor_.Int(5);
  select_tensor_.Reset();
  if (replace) {
    BindTensor(replace_tensor_, key, tensor, blob_id);
    RETURN_IF_ERROR(replace_tensor_.Run());
    ++result.superseded;
    ++result.stored;
    capture.totals.bytes += tensor.bytes - bytes;
    capture.totals.non_finite +=
        tensor.statistics.nan_count + tensor.statistics.inf_count - non_finite;
    return absl::OkStatus();
  }
  if (checksum == tensor.checksum && dtype == tensor.dtype && shape == tensor.shape &&
      stored_elements == tensor.stored_elements) {
    ++result.duplicate;
    return absl::OkStatus();
  }
  NoteConflict(result, absl::StrFormat("position %d, %s: %s %s xxh3 %016x, but %s %s xxh3 %016x is "
                                       "stored",
                                       tensor.position, tensor.checkpoint,
                                       tensor::DTypeName(tensor.dtype), tensor.shape,
                                       tensor.checksum, tensor::DTypeName(dtype), shape, checksum));
  return absl::OkStatus();
}

absl::Status BatchInserter::InsertBlob(int64_t capture_id, int64_t blob_id,
                                       const std::string& data) {
  insert_blob_.Bind(1, blob_id);
  insert_blob_.Bind(2, capture_id);
  insert_blob_.BindBlob(3, data);
  RETURN_IF_ERROR(insert_blob_.Run());
  ++next_blob_id_;
  return absl::OkStatus();
}

absl::StatusOr<int64_t> BatchInserter::CheckpointId(const std::string& name) {
  const auto found = checkpoint_ids_.find(name);
  if (found != checkpoint_ids_.end()) return found->second;
  select_checkpoint_.Bind(1, name);
  ASSIGN_OR_RETURN(const bool row, select_checkpoint_.Step());
  int64_t id = row ? select_checkpoint_.Int(0) : 0;
  select_checkpoint_.Reset();
  if (!row) {
    const std::string stage = checkpoint::StageLabel(name);
    insert_checkpoint_.Bind(1, name);
    insert_checkpoint_.Bind(2, checkpoint::LayerOf(name));
    insert_checkpoint_.Bind(3, stage);
    insert_checkpoint_.Bind(4, checkpoint::OrdinalOf(name));
    RETURN_IF_ERROR(insert_checkpoint_.Run());
    id = database_.LastInsertId();
  }
  checkpoint_ids_.emplace(name, id);
  return id;
}

absl::Status BatchInserter::Flush() {
  for (auto& [id, capture] : captures_) {
    const Totals totals = std::exchange(capture.totals, Totals());
    if (totals.tensors == 0 && totals.bytes == 0 && totals.non_finite == 0) continue;
    update_totals_.Bind(1, totals.tensors);
    update_totals_.Bind(2, totals.bytes);
    update_totals_.Bind(3, totals.non_finite);
    update_totals_.Bind(4, id);
    RETURN_IF_ERROR(update_totals_.Run());
  }
  return absl::OkStatus();
}

void BatchInserter::Forget() {
  checkpoint_ids_.clear();
  captures_.clear();
  next_blob_id_ = 0;
}

}  // namespace parity::store
