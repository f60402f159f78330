// The collector's store: captures and comparisons in one SQLite file.
//
// One CaptureStore per file and process. Reads may run on any number of threads, each on its own
// connection; every write goes through one writer thread, which commits in groups.
//
// Errors, each naming the file: INVALID_ARGUMENT (not a database, not Parity's, a newer schema, a
// bad name), NOT_FOUND, PERMISSION_DENIED (read-only file or directory), UNAVAILABLE ("in use by
// process N"), RESOURCE_EXHAUSTED (disk full or nearly so), DATA_LOSS (the database or its disk
// fails), FAILED_PRECONDITION (a write to a store opened read-only; a capture that is sealed).
#ifndef PARITY_COLLECTOR_STORE_CAPTURE_STORE_H_
#define PARITY_COLLECTOR_STORE_CAPTURE_STORE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "collector/store/append.h"
#include "collector/store/capture_reader.h"
#include "collector/store/tensor_batch.h"
#include "parity/v1/checkpoint.pb.h"
#include "parity/v1/collector.pb.h"

namespace parity::store {

class ConnectionPool;
class StoreLock;
class Writer;

enum class OpenMode {
  kReadOnly,   // works beside a live collector; the file must exist
  kReadWrite,  // creates the file; excludes any other writer by a lock file beside it
};

struct BegunCapture {
  int64_t id = 0;
  bool resumed = false;
};

class CaptureStore {
 public:
  static absl::StatusOr<std::unique_ptr<CaptureStore>> Open(const std::string& path, OpenMode mode,
                                                            StoreOptions options = {});
  // Waits for queued writes, checkpoints and closes.
  ~CaptureStore();
  CaptureStore(const CaptureStore&) = delete;
  CaptureStore& operator=(const CaptureStore&) = delete;

  const std::string& path() const { return path_; }
  bool read_only() const { return writer_ == nullptr; }
  // What to remove when the process is to end at once, before FinishImports has returned: the files
  // of a database that was made by write_once. Of any other none.
  std::vector<std::string> unfinished_files() const;

  // --- Reading ---

  // Newest first. An empty glob matches all.
  absl::StatusOr<std::vector<v1::Run>> ListRuns(int limit, absl::string_view name_glob) const;
  // NOT_FOUND when there is no such run.
  absl::StatusOr<v1::Run> GetRun(absl::string_view run) const;
  // Names stored for any capture of the run, in forward order.
  absl::StatusOr<std::vector<std::string>> RunCheckpoints(absl::string_view run) const;
  // NOT_FOUND names the run or the team, and lists the teams there are. A reader has a connection
  // of its own.
  absl::StatusOr<std::unique_ptr<CaptureReader>> OpenCapture(absl::string_view run,
                                                             absl::string_view team) const;
  // Another reader of the same capture, for another thread.
  absl::StatusOr<std::unique_ptr<CaptureReader>> Reopen(const CaptureReader& reader) const;

  // --- Writing a capture frame by frame ---

  // Creates the run when new; opens an unsealed capture again (another provenance:
  // FAILED_PRECONDITION). INVALID_ARGUMENT: a name, or a note or provenance over 64 KiB.
  absl::StatusOr<BegunCapture> BeginCapture(absl::string_view run, absl::string_view team,
                                            const v1::Provenance& provenance,
                                            absl::string_view note);
  // Queues a batch; `done` is called exactly once, in order of Append. Blocks while too much is
  // queued.
  void Append(int64_t capture_id, TensorBatch batch, AppendDone done);
  // Seals after everything appended so far is committed. `counts` are kept with the capture.
  // COMPLETE when `incomplete_reason` is empty and exactly counts.captured tensors are stored, with
  // none dropped, conflicting or rejected; else INCOMPLETE, and the message says why.
  absl::StatusOr<v1::IngestResponse::Sealed> Seal(int64_t capture_id,
                                                  const v1::CaptureCounts& counts,
                                                  absl::string_view incomplete_reason);
  // The stream ended without a seal: INCOMPLETE, but it may be resumed. Does nothing to a sealed
  // capture.
  absl::Status Suspend(int64_t capture_id, const v1::CaptureCounts& counts,
                       absl::string_view reason);

  // --- Importing: invisible until finished ---

  // ALREADY_EXISTS when the team has a capture in this run and `replace` is false.
  absl::StatusOr<int64_t> BeginImport(absl::string_view run, absl::string_view team, bool replace);
  // Like Append, but the last value of a key wins and is counted as superseded.
  void AppendImport(int64_t import_id, TensorBatch batch, AppendDone done);
  // Makes all the imports visible at once as COMPLETE captures; all or none. ALREADY_EXISTS as for
  // BeginImport, since another may have come by the name meanwhile.
  struct FinishedImport {
    int64_t id = 0;
    v1::Provenance provenance;
    bool replace = false;
  };
  absl::Status FinishImports(absl::Span<const FinishedImport> imports);
  // Removes what was imported so far. Imports that a crash left behind are removed at the next
  // read-write Open.
  absl::Status AbandonImport(int64_t import_id);

  // --- Comparisons and deletion ---

  // Stores a comparison and its rows in one transaction, replacing an earlier one of the same pair
  // and profile. Returns its id. Capture ids come from CaptureReader::capture_id().
  absl::StatusOr<int64_t> StoreComparison(int64_t reference_capture_id,
                                          int64_t candidate_capture_id,
                                          const v1::ComparisonSummary& summary,
                                          absl::Span<const v1::ComparisonRow> rows);
  // Deletes a run, or with `team` not empty one capture of it (and the run with its last capture).
  // Space goes back to the disk.
  absl::StatusOr<v1::DeleteRunResponse> Delete(absl::string_view run, absl::string_view team);

 private:
  explicit CaptureStore(std::string path);
  absl::Status RequireWriter() const;

  const std::string path_;
  std::shared_ptr<ConnectionPool> connections_;  // for reading
  std::unique_ptr<StoreLock> lock_;
  bool made_once_ = false;          // the file was made by write_once
  std::unique_ptr<Writer> writer_;  // null when read-only
};

}  // namespace parity::store

#endif  // PARITY_COLLECTOR_STORE_CAPTURE_STORE_H_
