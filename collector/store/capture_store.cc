#include "collector/store/capture_store.h"

#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "collector/store/capture_catalog.h"
#include "collector/store/comparison_table.h"
#include "collector/store/connection_pool.h"
#include "collector/store/database.h"
#include "collector/store/schema.h"
#include "collector/store/store_lock.h"
#include "collector/store/writer.h"
#include "proto/status/status_macros.h"
#include "proto/text/capture_name.h"

namespace parity::store {
namespace {

// Every answer about a run holds it: a message has 20 MiB for a hundred runs.
constexpr size_t kMaxProvenanceBytes = 64 << 10;

absl::Status CheckProvenance(const v1::Provenance& provenance) {
  const size_t bytes = provenance.ByteSizeLong();
  if (bytes <= kMaxProvenanceBytes) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("provenance: found ", bytes, " bytes, expected at most ", kMaxProvenanceBytes));
}

absl::StatusOr<std::pair<std::vector<CheckpointInfo>, std::vector<int64_t>>> ReadCheckpoints(
    Database& database, int64_t capture_id) {
  ASSIGN_OR_RETURN(
      Statement statement,
      database.Prepare("SELECT k.id, k.name, k.layer, k.stage, k.ordinal FROM capture_checkpoints x"
                       " JOIN checkpoints k ON k.id = x.checkpoint_id WHERE x.capture_id = ?"
                       " ORDER BY k.ordinal, k.name"));
  statement.Bind(1, capture_id);
  std::pair<std::vector<CheckpointInfo>, std::vector<int64_t>> result;
  while (true) {
    ASSIGN_OR_RETURN(const bool more, statement.Step());
    if (!more) return result;
    result.second.push_back(statement.Int(0));
    CheckpointInfo& info = result.first.emplace_back();
    info.name = std::string(statement.Text(1));
    info.layer = static_cast<int32_t>(statement.Int(2));
    info.stage = std::string(statement.Text(3));
    info.ordinal = statement.Int(4);
  }
}

}  // namespace

CaptureStore::CaptureStore(std::string path)
    : path_(std::move(path)), connections_(std::make_shared<ConnectionPool>(path_)) {}

CaptureStore::~CaptureStore() {
  connections_.reset();  // the last connection to close empties the log
  writer_.reset();
  if (made_once_) RemoveIfUnused(lock_->database_file());  // before the lock
}

absl::StatusOr<std::unique_ptr<CaptureStore>> CaptureStore::Open(const std::string& path,
                                                                 OpenMode mode,
                                                                 StoreOptions options) {
  std::unique_ptr<CaptureStore> store(new CaptureStore(path));
  if (mode == OpenMode::kReadOnly) {
    RETURN_IF_ERROR(store->connections_->Take().status());
    return store;
  }
  ASSIGN_OR_RETURN(store->lock_, StoreLock::Acquire(path));
  std::error_code error;
  store->made_once_ = options.write_once && !std::filesystem::exists(path, error);
  ASSIGN_OR_RETURN(std::unique_ptr<Database> database, OpenForWriting(path, options.write_once));
  if (!database->InTransaction()) {
    ASSIGN_OR_RETURN(Transaction transaction, Transaction::Begin(*database));
    RETURN_IF_ERROR(RecoverRows(*database));
    RETURN_IF_ERROR(transaction.Commit());
  }
  ASSIGN_OR_RETURN(store->writer_, Writer::Start(std::move(database), options));
  return store;
}

std::vector<std::string> CaptureStore::unfinished_files() const {
  if (!made_once_) return {};
  std::vector<std::string> files = FilesOf(lock_->database_file());
  files.push_back(lock_->path());
  return files;
}

absl::Status CaptureStore::RequireWriter() const {
  if (writer_ != nullptr) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(path_, ": was opened for reading only"));
}

absl::StatusOr<std::vector<v1::Run>> CaptureStore::ListRuns(int limit,
                                                            absl::string_view name_glob) const {
  ASSIGN_OR_RETURN(const std::shared_ptr<Database> database, connections_->Take());
  return ListRunRows(*database, limit, name_glob);
}

absl::StatusOr<v1::Run> CaptureStore::GetRun(absl::string_view run) const {
  ASSIGN_OR_RETURN(const std::shared_ptr<Database> database, connections_->Take());
  return FindRun(*database, run);
}

absl::StatusOr<std::vector<std::string>> CaptureStore::RunCheckpoints(absl::string_view run) const {
  ASSIGN_OR_RETURN(const std::shared_ptr<Database> database, connections_->Take());
  return FindRunCheckpoints(*database, run);
}

absl::StatusOr<std::unique_ptr<CaptureReader>> CaptureStore::OpenCapture(
    absl::string_view run, absl::string_view team) const {
  ASSIGN_OR_RETURN(std::shared_ptr<Database> database, connections_->Take());
  ASSIGN_OR_RETURN(CaptureRow row, FindCapture(*database, run, team));
  ASSIGN_OR_RETURN(auto checkpoints, ReadCheckpoints(*database, row.id));
  const auto header = std::make_shared<const CaptureHeader>(
      CaptureHeader{row.id, std::string(run), std::move(row.capture), std::move(checkpoints.first),
                    std::move(checkpoints.second)});
  return std::make_unique<CaptureReader>(std::move(database), header);
}

absl::StatusOr<std::unique_ptr<CaptureReader>> CaptureStore::Reopen(
    const CaptureReader& reader) const {
  ASSIGN_OR_RETURN(std::shared_ptr<Database> database, connections_->Take());
  return std::make_unique<CaptureReader>(std::move(database), reader.header());
}

absl::StatusOr<BegunCapture> CaptureStore::BeginCapture(absl::string_view run,
                                                        absl::string_view team,
                                                        const v1::Provenance& provenance,
                                                        absl::string_view note) {
  RETURN_IF_ERROR(RequireWriter());
  RETURN_IF_ERROR(text::CheckRunName(run));
  RETURN_IF_ERROR(text::CheckTeamName(team));
  RETURN_IF_ERROR(text::CheckNote(note));
  RETURN_IF_ERROR(CheckProvenance(provenance));
  const NewCapture capture = {std::string(run), std::string(team), provenance, std::string(note)};
  BegunCapture begun;
  RETURN_IF_ERROR(
      writer_->Run(Writer::Kind::kAdds, [&](Database& database, BatchInserter&) -> absl::Status {
        ASSIGN_OR_RETURN(begun.id, BeginCaptureRow(database, capture, begun.resumed));
        return absl::OkStatus();
      }));
  return begun;
}

void CaptureStore::Append(int64_t capture_id, TensorBatch batch, AppendDone done) {
  const absl::Status writable = RequireWriter();
  if (!writable.ok()) return done(writable);
  writer_->Append(capture_id, std::move(batch), /*replace=*/false, std::move(done));
}

void CaptureStore::AppendImport(int64_t import_id, TensorBatch batch, AppendDone done) {
  const absl::Status writable = RequireWriter();
  if (!writable.ok()) return done(writable);
  writer_->Append(import_id, std::move(batch), /*replace=*/true, std::move(done));
}

absl::StatusOr<v1::IngestResponse::Sealed> CaptureStore::Seal(int64_t capture_id,
                                                              const v1::CaptureCounts& counts,
                                                              absl::string_view incomplete_reason) {
  RETURN_IF_ERROR(RequireWriter());
  v1::IngestResponse::Sealed sealed;
  RETURN_IF_ERROR(
      writer_->Run(Writer::Kind::kAdds, [&](Database& database, BatchInserter&) -> absl::Status {
        ASSIGN_OR_RETURN(sealed, SealCaptureRow(database, capture_id, counts, incomplete_reason));
        return absl::OkStatus();
      }));
  return sealed;
}

absl::Status CaptureStore::Suspend(int64_t capture_id, const v1::CaptureCounts& counts,
                                   absl::string_view reason) {
  RETURN_IF_ERROR(RequireWriter());
  return writer_->Run(Writer::Kind::kAdds, [&](Database& database, BatchInserter&) {
    return SuspendCaptureRow(database, capture_id, counts, reason);
  });
}

absl::StatusOr<int64_t> CaptureStore::BeginImport(absl::string_view run, absl::string_view team,
                                                  bool replace) {
  RETURN_IF_ERROR(RequireWriter());
  RETURN_IF_ERROR(text::CheckRunName(run));
  RETURN_IF_ERROR(text::CheckTeamName(team));
  int64_t id = 0;
  RETURN_IF_ERROR(writer_->Run(Writer::Kind::kBeginsImport,
                               [&](Database& database, BatchInserter&) -> absl::Status {
                                 ASSIGN_OR_RETURN(id, BeginImportRow(database, run, team, replace));
                                 return absl::OkStatus();
                               }));
  return id;
}

absl::Status CaptureStore::FinishImports(absl::Span<const FinishedImport> imports) {
  RETURN_IF_ERROR(RequireWriter());
  return writer_->Run(Writer::Kind::kAdds, [&](Database& database, BatchInserter&) -> absl::Status {
    for (const FinishedImport& import : imports) {
      RETURN_IF_ERROR(FinishImportRow(database, import.id, import.provenance, import.replace));
    }
    return absl::OkStatus();
  });
}

absl::Status CaptureStore::AbandonImport(int64_t import_id) {
  RETURN_IF_ERROR(RequireWriter());
  return writer_->Run(Writer::Kind::kFrees, [&](Database& database, BatchInserter&) {
    return AbandonImportRow(database, import_id);
  });
}

absl::StatusOr<int64_t> CaptureStore::StoreComparison(int64_t reference_capture_id,
                                                      int64_t candidate_capture_id,
                                                      const v1::ComparisonSummary& summary,
                                                      absl::Span<const v1::ComparisonRow> rows) {
  RETURN_IF_ERROR(RequireWriter());
  const ComparisonKey key = {reference_capture_id, candidate_capture_id};
  int64_t id = 0;
  RETURN_IF_ERROR(writer_->Run(
      Writer::Kind::kAdds, [&](Database& database, BatchInserter& inserter) -> absl::Status {
        ASSIGN_OR_RETURN(id, InsertComparison(database, inserter, key, summary, rows));
        return absl::OkStatus();
      }));
  return id;
}

absl::StatusOr<v1::DeleteRunResponse> CaptureStore::Delete(absl::string_view run,
                                                           absl::string_view team) {
  RETURN_IF_ERROR(RequireWriter());
  v1::DeleteRunResponse response;
  RETURN_IF_ERROR(
      writer_->Run(Writer::Kind::kFrees, [&](Database& database, BatchInserter&) -> absl::Status {
        ASSIGN_OR_RETURN(response, DeleteRows(database, run, team));
        return absl::OkStatus();
      }));
  return response;
}

}  // namespace parity::store
