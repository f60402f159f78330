// Imports JSONL logs (DESIGN 7) into the store, in constant memory whatever the log's size.
#ifndef PARITY_COLLECTOR_IMPORTER_LOG_IMPORTER_H_
#define PARITY_COLLECTOR_IMPORTER_LOG_IMPORTER_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "collector/store/capture_store.h"
#include "parity/v1/collector.pb.h"

namespace parity::importer {

// One import: Create, Feed as often as wanted, Finish. Nothing is visible before Finish returns OK;
// an importer that is destroyed before that leaves nothing behind. Used by one thread at a time.
class LogImporter {
 public:
  // INVALID_ARGUMENT: a run or team name the store does not take, or a bad alias.
  // `store` outlives the importer.
  static absl::StatusOr<std::unique_ptr<LogImporter>> Create(store::CaptureStore* store,
                                                             const v1::ImportOptions& options);
  virtual ~LogImporter() = default;

  // Takes the next bytes of the log, split anywhere. INVALID_ARGUMENT: a damaged line when strict.
  // ALREADY_EXISTS: the team has a capture in this run and options.replace() is false.
  // Any error of the store. After an error only destruction is useful.
  virtual absl::Status Feed(absl::string_view bytes) = 0;

  // Takes a last line without a line feed too, ends the import and makes its captures visible.
  // INVALID_ARGUMENT: nothing usable in it.
  virtual absl::StatusOr<v1::ImportResponse> Finish() = 0;
};

}  // namespace parity::importer

#endif  // PARITY_COLLECTOR_IMPORTER_LOG_IMPORTER_H_
