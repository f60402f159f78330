// The rows of runs and captures: finding, listing, beginning, sealing, deleting. All on a
// connection of the caller.
#ifndef PARITY_COLLECTOR_STORE_CAPTURE_CATALOG_H_
#define PARITY_COLLECTOR_STORE_CAPTURE_CATALOG_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "collector/store/database.h"
#include "parity/v1/checkpoint.pb.h"
#include "parity/v1/collector.pb.h"

namespace parity::store {

struct CaptureRow {
  int64_t id = 0;
  bool sealed = false;
  v1::Capture capture;
};

// --- Reading. NOT_FOUND names the run or team. ---

absl::StatusOr<std::vector<v1::Run>> ListRunRows(Database& database, int limit,
                                                 absl::string_view name_glob);
absl::StatusOr<v1::Run> FindRun(Database& database, absl::string_view run);
absl::StatusOr<std::vector<std::string>> FindRunCheckpoints(Database& database,
                                                            absl::string_view run);
// NOT_FOUND lists the teams there are.
absl::StatusOr<CaptureRow> FindCapture(Database& database, absl::string_view run,
                                       absl::string_view team);

// --- Writing. REQUIRES: inside a transaction. ---

struct NewCapture {
  std::string run;
  std::string team;
  v1::Provenance provenance;
  std::string note;
};
// Id of the new capture, or of the unsealed one that is opened again; `resumed` says which.
absl::StatusOr<int64_t> BeginCaptureRow(Database& database, const NewCapture& capture,
                                        bool& resumed);
absl::StatusOr<v1::IngestResponse::Sealed> SealCaptureRow(Database& database, int64_t capture_id,
                                                          const v1::CaptureCounts& counts,
                                                          absl::string_view incomplete_reason);
absl::Status SuspendCaptureRow(Database& database, int64_t capture_id,
                               const v1::CaptureCounts& counts, absl::string_view reason);

// The row of an import, invisible until finished. ALREADY_EXISTS unless `replace`.
absl::StatusOr<int64_t> BeginImportRow(Database& database, absl::string_view run,
                                       absl::string_view team, bool replace);
// Takes the place of what the run has under that team by now; ALREADY_EXISTS unless `replace`.
absl::Status FinishImportRow(Database& database, int64_t import_id,
                             const v1::Provenance& provenance, bool replace);

// Removes an import and, when it was created for it, the run. Does nothing to a finished one.
absl::Status AbandonImportRow(Database& database, int64_t import_id);

// Deletes one capture with everything that hangs on it.
absl::Status DeleteCaptureRow(Database& database, int64_t capture_id);
absl::StatusOr<v1::DeleteRunResponse> DeleteRows(Database& database, absl::string_view run,
                                                 absl::string_view team);
// After a crash: open captures become incomplete, unfinished imports go.
absl::Status RecoverRows(Database& database);

}  // namespace parity::store

#endif  // PARITY_COLLECTOR_STORE_CAPTURE_CATALOG_H_
