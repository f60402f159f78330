#include "collector/store/capture_catalog.h"

#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "collector/store/provenance_json.h"
#include "proto/status/status_macros.h"

namespace parity::store {
namespace {

constexpr int64_t kNoRun = 0;  // row ids start at 1

// v_runs holds no id of the run and no raw JSON, so the tables are read.
constexpr char kCaptureColumns[] =
    "SELECT c.id, c.sealed, c.team, c.status, c.provenance, c.message, c.tensors, c.bytes,"
    " c.non_finite, c.captured, c.acked, c.dropped, c.spooled, c.duplicate, c.conflicting,"
    " c.rejected, (SELECT count(*) FROM tokens t WHERE t.capture_id = c.id),"
    " (SELECT count(*) FROM capture_checkpoints k WHERE k.capture_id = c.id)"
    " FROM captures c WHERE c.run_id = ?1 AND c.status <> 'importing'";

constexpr char kDeleteEmptyRuns[] =
    "DELETE FROM runs WHERE NOT EXISTS (SELECT 1 FROM captures c WHERE c.run_id = runs.id)";

v1::CaptureStatus StatusOf(absl::string_view text) {
  if (text == "open") return v1::CAPTURE_STATUS_OPEN;
  if (text == "complete") return v1::CAPTURE_STATUS_COMPLETE;
  return v1::CAPTURE_STATUS_INCOMPLETE;
}

absl::StatusOr<CaptureRow> ReadCaptureRow(const Statement& statement) {
  CaptureRow row;
  row.id = statement.Int(0);
  row.sealed = statement.Int(1) != 0;
  v1::Capture& capture = row.capture;
  capture.set_team(std::string(statement.Text(2)));
  capture.set_status(StatusOf(statement.Text(3)));
  absl::StatusOr<v1::Provenance> provenance = ProvenanceFromJson(statement.Text(4));
  if (!provenance.ok()) {
    return absl::Status(
        provenance.status().code(),
        absl::StrCat("capture ", row.id, " of team \"", absl::CHexEscape(capture.team()),
                     "\": ", provenance.status().message()));
  }
  *capture.mutable_provenance() = *std::move(provenance);
  capture.set_message(std::string(statement.Text(5)));
  capture.set_tensors(statement.Int(6));
  capture.set_bytes(statement.Int(7));
  capture.set_non_finite(statement.Int(8));
  v1::CaptureCounts& counts = *capture.mutable_counts();
  counts.set_captured(statement.Int(9));
  counts.set_acked(statement.Int(10));
  counts.set_dropped(statement.Int(11));
  counts.set_spooled(statement.Int(12));
  counts.set_duplicate(statement.Int(13));
  counts.set_conflicting(statement.Int(14));
  counts.set_rejected(statement.Int(15));
  capture.set_positions(statement.Int(16));
  capture.set_checkpoints(statement.Int(17));
  return row;
}

absl::StatusOr<std::vector<CaptureRow>> CapturesOf(Database& database, int64_t run_id) {
  const std::string sql = absl::StrCat(kCaptureColumns, " ORDER BY c.team");
  ASSIGN_OR_RETURN(Statement statement, database.Prepare(sql.c_str()));
  statement.Bind(1, run_id);
  std::vector<CaptureRow> rows;
  while (true) {
    ASSIGN_OR_RETURN(const bool more, statement.Step());
    if (!more) return rows;
    ASSIGN_OR_RETURN(CaptureRow row, ReadCaptureRow(statement));
    rows.push_back(std::move(row));
  }
}

absl::StatusOr<int64_t> RunId(Database& database, absl::string_view run) {
  ASSIGN_OR_RETURN(Statement statement, database.Prepare("SELECT id FROM runs WHERE name = ?"));
  statement.Bind(1, run);
  ASSIGN_OR_RETURN(const bool found, statement.Step());
  return found ? statement.Int(0) : kNoRun;
}

absl::StatusOr<int64_t> ExistingRunId(Database& database, absl::string_view run) {
  ASSIGN_OR_RETURN(const int64_t id, RunId(database, run));
  if (id != kNoRun) return id;
  return absl::NotFoundError(absl::StrCat(database.path(), ": there is no run \"", run, "\""));
}

absl::StatusOr<int64_t> RunIdOrNew(Database& database, absl::string_view run,
                                   absl::string_view note) {
  ASSIGN_OR_RETURN(const int64_t id, RunId(database, run));
  if (id != kNoRun) return id;
  ASSIGN_OR_RETURN(Statement insert,
                   database.Prepare("INSERT INTO runs(name, created_at, note) VALUES(?, ?, ?)"));
  insert.Bind(1, run);
  insert.Bind(2, int64_t{absl::GetCurrentTimeNanos()});
  insert.Bind(3, note);
  RETURN_IF_ERROR(insert.Run());
  return database.LastInsertId();
}

absl::Status TeamExists(absl::string_view run, absl::string_view team) {
  return absl::AlreadyExistsError(
      absl::StrCat("run \"", run, "\" already has a capture of team \"", team, "\""));
}

// Id, or 0 when the run has no such team (imports in progress have names no team may have).
absl::StatusOr<int64_t> CaptureIdOf(Database& database, int64_t run_id, absl::string_view team) {
  ASSIGN_OR_RETURN(Statement statement,
                   database.Prepare("SELECT id FROM captures WHERE run_id = ? AND team = ?"));
  statement.Bind(1, run_id);
  statement.Bind(2, team);
  ASSIGN_OR_RETURN(const bool found, statement.Step());
  return found ? statement.Int(0) : 0;
}

absl::StatusOr<int64_t> InsertCapture(Database& database, int64_t run_id, absl::string_view team,
                                      const char* status, absl::string_view provenance) {
  ASSIGN_OR_RETURN(Statement insert,
                   database.Prepare("INSERT INTO captures(run_id, team, status, created_at,"
                                    " provenance) VALUES(?, ?, ?, ?, ?)"));
  insert.Bind(1, run_id);
  insert.Bind(2, team);
  insert.Bind(3, status);
  insert.Bind(4, int64_t{absl::GetCurrentTimeNanos()});
  insert.Bind(5, provenance);
  RETURN_IF_ERROR(insert.Run());
  return database.LastInsertId();
}

absl::Status RunWithId(Database& database, const char* sql, int64_t id) {
  ASSIGN_OR_RETURN(Statement statement, database.Prepare(sql));
  statement.Bind(1, id);
  return statement.Run();
}

// What a seal leaves: the counts, the status and why.
absl::Status UpdateCounts(Database& database, int64_t capture_id, const v1::CaptureCounts& counts,
                          const char* status, bool sealed, absl::string_view message) {
  ASSIGN_OR_RETURN(
      Statement update,
      database.Prepare("UPDATE captures SET status = ?, sealed = ?, message = ?, captured = ?,"
                       " acked = ?, dropped = ?, spooled = ?, duplicate = ?, conflicting = ?,"
                       " rejected = ? WHERE id = ? AND sealed = 0"));
  update.Bind(1, status);
  update.Bind(2, sealed);
  update.Bind(3, message);
  update.Bind(4, int64_t{counts.captured()});
  update.Bind(5, int64_t{counts.acked()});
  update.Bind(6, int64_t{counts.dropped()});
  update.Bind(7, int64_t{counts.spooled()});
  update.Bind(8, int64_t{counts.duplicate()});
  update.Bind(9, int64_t{counts.conflicting()});
  update.Bind(10, int64_t{counts.rejected()});
  update.Bind(11, capture_id);
  return update.Run();
}

// Empty when the capture is complete.
std::string WhyIncomplete(const v1::CaptureCounts& counts, int64_t stored,
                          absl::string_view incomplete_reason) {
  std::vector<std::string> reasons;
  if (!incomplete_reason.empty()) reasons.push_back(std::string(incomplete_reason));
  if (counts.dropped() > 0) reasons.push_back(absl::StrCat(counts.dropped(), " dropped"));
  if (counts.conflicting() > 0) {
    reasons.push_back(absl::StrCat(counts.conflicting(), " conflicting"));
  }
  if (counts.rejected() > 0) reasons.push_back(absl::StrCat(counts.rejected(), " rejected"));
  if (stored != counts.captured()) {
    reasons.push_back(absl::StrCat(stored, " stored of ", counts.captured(), " captured"));
  }
  return absl::StrJoin(reasons, "; ");
}

}  // namespace

absl::StatusOr<std::vector<v1::Run>> ListRunRows(Database& database, int limit,
                                                 absl::string_view name_glob) {
  ASSIGN_OR_RETURN(
      Statement statement,
      database.Prepare("SELECT id, name, created_at, note FROM runs WHERE name GLOB ? AND EXISTS"
                       " (SELECT 1 FROM captures c WHERE c.run_id = runs.id AND c.status <>"
                       " 'importing') ORDER BY created_at DESC, id DESC LIMIT ?"));
  statement.Bind(1, name_glob.empty() ? "*" : name_glob);
  statement.Bind(2, limit);
  std::vector<v1::Run> runs;
  while (true) {
    ASSIGN_OR_RETURN(const bool more, statement.Step());
    if (!more) return runs;
    v1::Run& run = runs.emplace_back();
    run.set_name(std::string(statement.Text(1)));
    run.set_created_at_nanos(statement.Int(2));
    run.set_note(std::string(statement.Text(3)));
    ASSIGN_OR_RETURN(std::vector<CaptureRow> rows, CapturesOf(database, statement.Int(0)));
    for (CaptureRow& row : rows) *run.add_captures() = std::move(row.capture);
  }
}

absl::StatusOr<v1::Run> FindRun(Database& database, absl::string_view name) {
  ASSIGN_OR_RETURN(const int64_t id, ExistingRunId(database, name));
  ASSIGN_OR_RETURN(Statement statement,
                   database.Prepare("SELECT created_at, note FROM runs WHERE id = ?"));
  statement.Bind(1, id);
  ASSIGN_OR_RETURN(const bool found, statement.Step());
  v1::Run run;
  run.set_name(std::string(name));
  if (found) {
    run.set_created_at_nanos(statement.Int(0));
    run.set_note(std::string(statement.Text(1)));
  }
  ASSIGN_OR_RETURN(std::vector<CaptureRow> rows, CapturesOf(database, id));
  for (CaptureRow& row : rows) *run.add_captures() = std::move(row.capture);
  return run;
}

absl::StatusOr<std::vector<std::string>> FindRunCheckpoints(Database& database,
                                                            absl::string_view run) {
  ASSIGN_OR_RETURN(const int64_t id, ExistingRunId(database, run));
  ASSIGN_OR_RETURN(
      Statement statement,
      database.Prepare("SELECT DISTINCT k.name, k.ordinal FROM captures c JOIN capture_checkpoints"
                       " x ON x.capture_id = c.id JOIN checkpoints k ON k.id = x.checkpoint_id"
                       " WHERE c.run_id = ? AND c.status <> 'importing'"
                       " ORDER BY k.ordinal, k.name"));
  statement.Bind(1, id);
  std::vector<std::string> names;
  while (true) {
    ASSIGN_OR_RETURN(const bool more, statement.Step());
    if (!more) return names;
    names.push_back(std::string(statement.Text(0)));
  }
}

absl::StatusOr<CaptureRow> FindCapture(Database& database, absl::string_view run,
                                       absl::string_view team) {
  ASSIGN_OR_RETURN(const int64_t run_id, ExistingRunId(database, run));
  ASSIGN_OR_RETURN(std::vector<CaptureRow> rows, CapturesOf(database, run_id));
  std::vector<std::string> teams;
  for (CaptureRow& row : rows) {
    if (row.capture.team() == team) return std::move(row);
    teams.push_back(absl::StrCat("\"", row.capture.team(), "\""));
  }
  return absl::NotFoundError(
      absl::StrCat(database.path(), ": run \"", run, "\" has no team \"", team, "\"; it has ",
                   teams.empty() ? std::string("none") : absl::StrJoin(teams, ", ")));
}

absl::StatusOr<int64_t> BeginCaptureRow(Database& database, const NewCapture& capture,
                                        bool& resumed) {
  ASSIGN_OR_RETURN(const int64_t run_id, RunIdOrNew(database, capture.run, capture.note));
  ASSIGN_OR_RETURN(const int64_t existing, CaptureIdOf(database, run_id, capture.team));
  resumed = existing != 0;
  if (!resumed) {
    ASSIGN_OR_RETURN(const std::string json, ToJson(capture.provenance));
    return InsertCapture(database, run_id, capture.team, "open", json);
  }
  ASSIGN_OR_RETURN(const CaptureRow row, FindCapture(database, capture.run, capture.team));
  if (row.sealed) {
    return absl::FailedPreconditionError(
        absl::StrCat("run \"", capture.run, "\" has a sealed capture of team \"", capture.team,
                     "\"; delete it or use another name"));
  }
  RETURN_IF_ERROR(CheckSameProvenance(row.capture.provenance(), capture.provenance));
  RETURN_IF_ERROR(RunWithId(
      database, "UPDATE captures SET status = 'open', message = '' WHERE id = ?", existing));
  return existing;
}

absl::StatusOr<v1::IngestResponse::Sealed> SealCaptureRow(Database& database, int64_t capture_id,
                                                          const v1::CaptureCounts& counts,
                                                          absl::string_view incomplete_reason) {
  ASSIGN_OR_RETURN(Statement statement,
                   database.Prepare("SELECT tensors, sealed FROM captures WHERE id = ?"));
  statement.Bind(1, capture_id);
  ASSIGN_OR_RETURN(const bool found, statement.Step());
  if (!found) return absl::NotFoundError("the capture was deleted while it was being written");
  if (statement.Int(1) != 0) return absl::FailedPreconditionError("the capture is sealed already");
  const std::string message = WhyIncomplete(counts, statement.Int(0), incomplete_reason);
  statement.Reset();
  const char* status = message.empty() ? "complete" : "incomplete";
  RETURN_IF_ERROR(UpdateCounts(database, capture_id, counts, status, /*sealed=*/true, message));
  v1::IngestResponse::Sealed sealed;
  sealed.set_status(message.empty() ? v1::CAPTURE_STATUS_COMPLETE : v1::CAPTURE_STATUS_INCOMPLETE);
  *sealed.mutable_counts() = counts;
  sealed.set_message(message);
  return sealed;
}

absl::Status SuspendCaptureRow(Database& database, int64_t capture_id,
                               const v1::CaptureCounts& counts, absl::string_view reason) {
  return UpdateCounts(database, capture_id, counts, "incomplete", /*sealed=*/false, reason);
}

absl::StatusOr<int64_t> BeginImportRow(Database& database, absl::string_view run,
                                       absl::string_view team, bool replace) {
  ASSIGN_OR_RETURN(const int64_t run_id, RunIdOrNew(database, run, ""));
  ASSIGN_OR_RETURN(const int64_t existing, CaptureIdOf(database, run_id, team));
  if (existing != 0 && !replace) return TeamExists(run, team);
  // "/" is in no team's name, so an import hides behind one until it is finished.
  ASSIGN_OR_RETURN(const int64_t next,
                   database.QueryInt("SELECT coalesce(max(id), 0) + 1 FROM captures"));
  return InsertCapture(database, run_id, absl::StrCat(team, "/", next), "importing", "{}");
}

absl::Status FinishImportRow(Database& database, int64_t import_id,
                             const v1::Provenance& provenance, bool replace) {
  ASSIGN_OR_RETURN(Statement statement,
                   database.Prepare("SELECT c.run_id, c.team, r.name FROM captures c JOIN runs r ON"
                                    " r.id = c.run_id WHERE c.id = ? AND c.status = 'importing'"));
  statement.Bind(1, import_id);
  ASSIGN_OR_RETURN(const bool found, statement.Step());
  if (!found) return absl::NotFoundError("the import was deleted before it was finished");
  const int64_t run_id = statement.Int(0);
  const std::string hidden(statement.Text(1)), run(statement.Text(2));
  statement.Reset();
  const std::string team = hidden.substr(0, hidden.rfind('/'));
  ASSIGN_OR_RETURN(const int64_t existing, CaptureIdOf(database, run_id, team));
  if (existing != 0 && !replace) return TeamExists(run, team);
  if (existing != 0) RETURN_IF_ERROR(DeleteCaptureRow(database, existing));
  ASSIGN_OR_RETURN(const std::string json, ToJson(provenance));
  ASSIGN_OR_RETURN(
      Statement update,
      database.Prepare("UPDATE captures SET team = ?, provenance = ?, status = 'complete',"
                       " sealed = 1, captured = tensors, acked = tensors WHERE id = ?"));
  update.Bind(1, team);
  update.Bind(2, json);
  update.Bind(3, import_id);
  return update.Run();
}

absl::Status AbandonImportRow(Database& database, int64_t import_id) {
  ASSIGN_OR_RETURN(Statement statement,
                   database.Prepare("SELECT 1 FROM captures WHERE id = ? AND status ="
                                    " 'importing'"));
  statement.Bind(1, import_id);
  ASSIGN_OR_RETURN(const bool found, statement.Step());
  statement.Reset();
  if (!found) return absl::OkStatus();
  RETURN_IF_ERROR(DeleteCaptureRow(database, import_id));
  return database.Execute(kDeleteEmptyRuns);
}

absl::Status DeleteCaptureRow(Database& database, int64_t capture_id) {
  for (const char* sql :
       {"DELETE FROM diffs WHERE comparison_id IN (SELECT id FROM comparisons WHERE"
        " reference_capture_id = ?1 OR candidate_capture_id = ?1)",
        "DELETE FROM comparisons WHERE reference_capture_id = ?1 OR candidate_capture_id = ?1",
        "DELETE FROM tensors WHERE capture_id = ?1", "DELETE FROM tokens WHERE capture_id = ?1",
        "DELETE FROM capture_checkpoints WHERE capture_id = ?1",
        "DELETE FROM blobs WHERE capture_id = ?1", "DELETE FROM captures WHERE id = ?1"}) {
    RETURN_IF_ERROR(RunWithId(database, sql, capture_id));
  }
  return absl::OkStatus();
}

absl::StatusOr<v1::DeleteRunResponse> DeleteRows(Database& database, absl::string_view run,
                                                 absl::string_view team) {
  ASSIGN_OR_RETURN(const int64_t run_id, ExistingRunId(database, run));
  std::vector<CaptureRow> rows;
  if (team.empty()) {
    ASSIGN_OR_RETURN(rows, CapturesOf(database, run_id));
  } else {
    ASSIGN_OR_RETURN(CaptureRow row, FindCapture(database, run, team));
    rows.push_back(std::move(row));
  }
  v1::DeleteRunResponse response;
  for (const CaptureRow& row : rows) {
    RETURN_IF_ERROR(DeleteCaptureRow(database, row.id));
    response.set_captures(response.captures() + 1);
    response.set_tensors(response.tensors() + row.capture.tensors());
  }
  RETURN_IF_ERROR(RunWithId(database,
                            "DELETE FROM runs WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM captures"
                            " WHERE run_id = ?1)",
                            run_id));
  return response;
}

absl::Status RecoverRows(Database& database) {
  RETURN_IF_ERROR(database.Execute(
      "UPDATE captures SET status = 'incomplete', message = 'the collector stopped before the"
      " capture was sealed' WHERE status = 'open'"));
  while (true) {
    ASSIGN_OR_RETURN(const int64_t import_id,
                     database.QueryInt("SELECT coalesce(min(id), 0) FROM captures WHERE status ="
                                       " 'importing'"));
    if (import_id == 0) break;
    RETURN_IF_ERROR(DeleteCaptureRow(database, import_id));
  }
  return database.Execute(kDeleteEmptyRuns);
}

}  // namespace parity::store
