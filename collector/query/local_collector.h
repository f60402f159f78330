// A collector in this process, without a socket: for `parity --db FILE`.
#ifndef PARITY_COLLECTOR_QUERY_LOCAL_COLLECTOR_H_
#define PARITY_COLLECTOR_QUERY_LOCAL_COLLECTOR_H_

#include <grpcpp/grpcpp.h>

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "collector/compare/comparison.h"
#include "collector/importer/log_importer.h"
#include "collector/query/collector_service.h"
#include "collector/store/capture_store.h"
#include "parity/v1/collector.grpc.pb.h"

namespace parity::query {

using store::OpenMode;

// Thread-safe. Calls on the stub must have ended when it is destroyed.
class LocalCollector {
 public:
  // Errors: those of CaptureStore::Open. Read-only works beside a live collector on the same file.
  // `min_free_bytes`: StoreOptions.
  static absl::StatusOr<std::unique_ptr<LocalCollector>> Open(const std::string& db_path,
                                                              OpenMode mode,
                                                              int64_t min_free_bytes);
  // Read-write, for one import: into a new file as one transaction (StoreOptions::write_once), into
  // another in small commits, so that the disk is busy while lines are still parsed. A file that it
  // makes goes again when nothing was imported into it.
  static absl::StatusOr<std::unique_ptr<LocalCollector>> OpenToImport(const std::string& db_path,
                                                                      int64_t min_free_bytes);
  ~LocalCollector();

  // Starts the in-process server at the first call: what needs none does not wait for one.
  v1::Collector::StubInterface& stub();
  store::CaptureStore& store() { return *store_; }
  // CaptureStore::unfinished_files().
  std::vector<std::string> unfinished_files() const { return store_->unfinished_files(); }
  // What Compare of the stub answers, but on the caller's thread and without a message a row, which
  // costs several times what the comparison itself does.
  absl::Status Compare(const v1::CompareRequest& request, const compare::RowCallback& on_row,
                       v1::ComparisonSummary* summary) {
    return compare::CompareCaptures(*store_, request, on_row, summary);
  }
  // Begins what Import of the stub does. The importer must not outlive this object.
  absl::StatusOr<std::unique_ptr<importer::LogImporter>> BeginImport(
      const v1::ImportOptions& options) {
    return importer::LogImporter::Create(store_.get(), options);
  }

 private:
  explicit LocalCollector(std::unique_ptr<store::CaptureStore> store);

  std::unique_ptr<store::CaptureStore> store_;
  CollectorService service_;
  std::once_flag started_;
  std::unique_ptr<grpc::Server> server_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::Collector::Stub> stub_;
};

}  // namespace parity::query

#endif  // PARITY_COLLECTOR_QUERY_LOCAL_COLLECTOR_H_
