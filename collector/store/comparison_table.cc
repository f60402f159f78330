#include "collector/store/comparison_table.h"

#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "collector/store/provenance_json.h"
#include "collector/store/row_verdict.h"
#include "proto/status/status_macros.h"

namespace parity::store {
namespace {

constexpr char kInsertDiff[] =
    "INSERT INTO diffs VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?,"
    " ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";

std::string VerdictText(v1::RowVerdict verdict) {
  return std::string(absl::StripPrefix(v1::RowVerdict_Name(verdict), "ROW_VERDICT_"));
}

// Columns 7 to 22: NULL where nothing was measured, so that no average takes them for zeros.
void BindMetrics(Statement& insert, const v1::ComparisonRow& row) {
  if (!IsMeasured(row.verdict())) {
    for (int index = 7; index <= 22; ++index) insert.BindNull(index);
    return;
  }
  insert.Bind(7, row.max_abs());
  insert.Bind(8, int64_t{row.max_abs_index()});
  insert.Bind(9, row.reference_at_max());
  insert.Bind(10, row.candidate_at_max());
  insert.Bind(11, row.mean_abs());
  insert.Bind(12, row.rmse());
  insert.Bind(13, row.nmse());
  insert.Bind(14, row.cosine());
  insert.Bind(15, row.max_channel_error());
  insert.Bind(16, int64_t{row.reference_nan()});
  insert.Bind(17, int64_t{row.reference_inf()});
  insert.Bind(18, int64_t{row.candidate_nan()});
  insert.Bind(19, int64_t{row.candidate_inf()});
  row.has_first_non_finite() ? insert.Bind(20, int64_t{row.first_non_finite()})
                             : insert.BindNull(20);
  insert.Bind(21, row.floor_nmse());
  insert.Bind(22, row.floor_multiples());
}

// Columns 23 to 31: logits only.
void BindLogitMetrics(Statement& insert, const v1::ComparisonRow& row) {
  row.has_kl_divergence() ? insert.Bind(23, row.kl_divergence()) : insert.BindNull(23);
  row.has_top1_match() ? insert.Bind(24, row.top1_match()) : insert.BindNull(24);
  row.has_reference_top1() ? insert.Bind(25, row.reference_top1()) : insert.BindNull(25);
  row.has_candidate_top1() ? insert.Bind(26, row.candidate_top1()) : insert.BindNull(26);
  row.has_reference_top1_rank() ? insert.Bind(27, row.reference_top1_rank()) : insert.BindNull(27);
  row.has_reference_top1_gap() ? insert.Bind(28, row.reference_top1_gap()) : insert.BindNull(28);
  row.has_top1_loss() ? insert.Bind(29, row.top1_loss()) : insert.BindNull(29);
  row.has_top5_overlap() ? insert.Bind(30, row.top5_overlap()) : insert.BindNull(30);
  row.has_near_tie() ? insert.Bind(31, row.near_tie()) : insert.BindNull(31);
}

absl::Status InsertRow(Statement& insert, int64_t comparison_id, int64_t checkpoint_id,
                       const v1::ComparisonRow& row) {
  const std::string verdict = VerdictText(row.verdict());
  insert.Bind(1, comparison_id);
  insert.Bind(2, row.position());
  insert.Bind(3, checkpoint_id);
  insert.Bind(4, verdict);
  insert.Bind(5, row.reason());
  insert.Bind(6, int64_t{row.elements()});
  BindMetrics(insert, row);
  BindLogitMetrics(insert, row);
  insert.Bind(32, row.measured_from());
  insert.Bind(33, row.single_op());
  insert.Bind(34, row.bit_identical());
  return insert.Run();
}

absl::Status DeleteEarlier(Database& database, const ComparisonKey& key,
                           const std::string& profile) {
  for (const char* sql :
       {"DELETE FROM diffs WHERE comparison_id IN (SELECT id FROM comparisons WHERE"
        " reference_capture_id = ?1 AND candidate_capture_id = ?2 AND profile = ?3)",
        "DELETE FROM comparisons WHERE reference_capture_id = ?1 AND candidate_capture_id = ?2"
        " AND profile = ?3"}) {
    ASSIGN_OR_RETURN(Statement statement, database.Prepare(sql));
    statement.Bind(1, key.reference_capture_id);
    statement.Bind(2, key.candidate_capture_id);
    statement.Bind(3, profile);
    RETURN_IF_ERROR(statement.Run());
  }
  return absl::OkStatus();
}

absl::StatusOr<int64_t> InsertSummary(Database& database, BatchInserter& inserter,
                                      const ComparisonKey& key,
                                      const v1::ComparisonSummary& summary) {
  ASSIGN_OR_RETURN(const std::string json, ToJson(summary));
  const std::string verdict(absl::StripPrefix(v1::Verdict_Name(summary.verdict()), "VERDICT_"));
  ASSIGN_OR_RETURN(Statement insert,
                   database.Prepare("INSERT INTO comparisons(reference_capture_id,"
                                    " candidate_capture_id, created_at, profile, verdict, reason,"
                                    " coverage, first_position, first_checkpoint_id, summary)"
                                    " VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"));
  insert.Bind(1, key.reference_capture_id);
  insert.Bind(2, key.candidate_capture_id);
  insert.Bind(3, int64_t{absl::GetCurrentTimeNanos()});
  insert.Bind(4, summary.profile());
  insert.Bind(5, verdict);
  insert.Bind(6, summary.reason());
  insert.Bind(7, summary.coverage());
  if (summary.has_first_divergence()) {
    ASSIGN_OR_RETURN(const int64_t checkpoint_id,
                     inserter.CheckpointId(summary.first_divergence().checkpoint()));
    insert.Bind(8, summary.first_divergence().position());
    insert.Bind(9, checkpoint_id);
  } else {
    insert.BindNull(8);
    insert.BindNull(9);
  }
  insert.Bind(10, json);
  RETURN_IF_ERROR(insert.Run());
  return database.LastInsertId();
}

}  // namespace

absl::StatusOr<int64_t> InsertComparison(Database& database, BatchInserter& inserter,
                                         const ComparisonKey& key,
                                         const v1::ComparisonSummary& summary,
                                         absl::Span<const v1::ComparisonRow> rows) {
  RETURN_IF_ERROR(DeleteEarlier(database, key, summary.profile()));
  ASSIGN_OR_RETURN(const int64_t id, InsertSummary(database, inserter, key, summary));
  ASSIGN_OR_RETURN(Statement insert, database.Prepare(kInsertDiff));
  for (const v1::ComparisonRow& row : rows) {
    ASSIGN_OR_RETURN(const int64_t checkpoint_id, inserter.CheckpointId(row.checkpoint()));
    RETURN_IF_ERROR(InsertRow(insert, id, checkpoint_id, row));
  }
  return id;
}

}  // namespace parity::store
