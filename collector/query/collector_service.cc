#include "collector/query/collector_service.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "collector/compare/comparison.h"
#include "collector/export/export.h"
#include "collector/importer/log_importer.h"
#include "collector/query/answer.h"
#include "collector/query/capture_frames.h"
#include "collector/query/ingest_reactor.h"
#include "proto/status/status_macros.h"

namespace parity::query {
namespace {

constexpr int kDefaultRuns = 100;  // collector.proto: ListRunsRequest.limit

absl::Status Written(bool ok) {
  return ok ? absl::OkStatus() : absl::CancelledError("the caller went away");
}

absl::Status DescribeRun(const store::CaptureStore& store, const std::string& run,
                         v1::GetRunResponse* response) {
  ASSIGN_OR_RETURN(*response->mutable_run(), store.GetRun(run));
  for (const v1::Capture& capture : response->run().captures()) {
    ASSIGN_OR_RETURN(const std::unique_ptr<store::CaptureReader> reader,
                     store.OpenCapture(run, capture.team()));
    ASSIGN_OR_RETURN(std::vector<v1::TokenRecord> tokens, reader->ReadTokens());
    for (v1::TokenRecord& token : tokens) *response->add_tokens() = std::move(token);
  }
  ASSIGN_OR_RETURN(const std::vector<std::string> checkpoints, store.RunCheckpoints(run));
  response->mutable_checkpoints()->Assign(checkpoints.begin(), checkpoints.end());
  return absl::OkStatus();
}

absl::StatusOr<v1::ImportResponse> ImportLog(store::CaptureStore* store,
                                             grpc::ServerContext* context,
                                             grpc::ServerReader<v1::ImportRequest>* reader) {
  v1::ImportRequest request;
  if (!reader->Read(&request) || !request.has_options()) {
    return absl::InvalidArgumentError("the first message of an import must be its options");
  }
  ASSIGN_OR_RETURN(const std::unique_ptr<importer::LogImporter> log,
                   importer::LogImporter::Create(store, request.options()));
  while (reader->Read(&request)) {
    if (!request.has_chunk()) {
      return absl::InvalidArgumentError("an import takes its options once, then bytes");
    }
    RETURN_IF_ERROR(log->Feed(request.chunk()));
  }
  // A log that was cut off must not pass for a whole one.
  if (context->IsCancelled()) return absl::CancelledError("the caller went away");
  return log->Finish();
}

absl::StatusOr<v1::Tensor> FindTensor(const store::CaptureStore& store,
                                      const v1::GetTensorRequest& request) {
  ASSIGN_OR_RETURN(const std::unique_ptr<store::CaptureReader> reader,
                   store.OpenCapture(request.run(), request.team()));
  return reader->ReadTensor(request.position(), request.checkpoint());
}

}  // namespace

grpc::ServerBidiReactor<v1::IngestRequest, v1::IngestResponse>* CollectorService::Ingest(
    grpc::CallbackServerContext* context) {
  return new IngestReactor(store_, max_message_bytes_);  // deletes itself
}

grpc::Status CollectorService::ListRuns(grpc::ServerContext* context,
                                        const v1::ListRunsRequest* request,
                                        v1::ListRunsResponse* response) {
  if (request->limit() < 0) {
    return Answer("ListRuns", absl::InvalidArgumentError("limit: expected 0 or more"));
  }
  const int limit = request->limit() == 0 ? kDefaultRuns : request->limit();
  absl::StatusOr<std::vector<v1::Run>> runs = store_->ListRuns(limit, request->name_glob());
  if (!runs.ok()) return Answer("ListRuns", runs.status());
  for (v1::Run& run : *runs) *response->add_runs() = std::move(run);
  return grpc::Status::OK;
}

grpc::Status CollectorService::GetRun(grpc::ServerContext* context,
                                      const v1::GetRunRequest* request,
                                      v1::GetRunResponse* response) {
  return Answer("GetRun", DescribeRun(*store_, request->run(), response));
}

grpc::Status CollectorService::Compare(grpc::ServerContext* context,
                                       const v1::CompareRequest* request,
                                       grpc::ServerWriter<v1::CompareResponse>* writer) {
  v1::CompareResponse message;
  const auto on_row = [&](const v1::ComparisonRow& row) {
    *message.mutable_row() = row;
    return Written(writer->Write(message));
  };
  v1::ComparisonSummary summary;
  const absl::Status status = compare::CompareCaptures(*store_, *request, on_row, &summary);
  if (!status.ok()) return Answer("Compare", status);
  *message.mutable_summary() = std::move(summary);
  return Answer("Compare", Written(writer->Write(message)));
}

grpc::Status CollectorService::Export(grpc::ServerContext* context,
                                      const v1::ExportRequest* request,
                                      grpc::ServerWriter<v1::ExportResponse>* writer) {
  v1::ExportResponse message;
  return Answer("Export", exporter::Export(*store_, *request, [&](absl::string_view chunk) {
                  message.set_chunk(chunk.data(), chunk.size());
                  return Written(writer->Write(message));
                }));
}

grpc::Status CollectorService::Import(grpc::ServerContext* context,
                                      grpc::ServerReader<v1::ImportRequest>* reader,
                                      v1::ImportResponse* response) {
  absl::StatusOr<v1::ImportResponse> imported = ImportLog(store_, context, reader);
  if (imported.ok()) *response = *std::move(imported);
  return Answer("Import", imported.status());
}

grpc::Status CollectorService::GetTensor(grpc::ServerContext* context,
                                         const v1::GetTensorRequest* request,
                                         v1::Tensor* response) {
  absl::StatusOr<v1::Tensor> tensor = FindTensor(*store_, *request);
  if (tensor.ok()) *response = *std::move(tensor);
  return Answer("GetTensor", tensor.status());
}

grpc::Status CollectorService::ReadCapture(grpc::ServerContext* context,
                                           const v1::ReadCaptureRequest* request,
                                           grpc::ServerWriter<v1::Frame>* writer) {
  return Answer("ReadCapture", ReadFrames(*store_, *request, [&](const v1::Frame& frame) {
                  return Written(writer->Write(frame));
                }));
}

grpc::Status CollectorService::DeleteRun(grpc::ServerContext* context,
                                         const v1::DeleteRunRequest* request,
                                         v1::DeleteRunResponse* response) {
  absl::StatusOr<v1::DeleteRunResponse> deleted = store_->Delete(request->run(), request->team());
  if (deleted.ok()) *response = *std::move(deleted);
  return Answer("DeleteRun", deleted.status());
}

}  // namespace parity::query
