// The gRPC Collector service: parse, call a room below, convert.
#ifndef PARITY_COLLECTOR_QUERY_COLLECTOR_SERVICE_H_
#define PARITY_COLLECTOR_QUERY_COLLECTOR_SERVICE_H_

#include <grpcpp/grpcpp.h>

#include <cstdint>

#include "collector/store/capture_store.h"
#include "parity/v1/collector.grpc.pb.h"

namespace parity::query {

// Thread-safe. Ingest uses the callback API (IngestReactor says why), everything else is
// straight-line code.
class CollectorService final
    : public v1::Collector::WithCallbackMethod_Ingest<v1::Collector::Service> {
 public:
  // `store` outlives the service. `max_message_bytes` is what the server was built with; senders
  // are told.
  CollectorService(store::CaptureStore* store, int64_t max_message_bytes)
      : store_(store), max_message_bytes_(max_message_bytes) {}

  grpc::ServerBidiReactor<v1::IngestRequest, v1::IngestResponse>* Ingest(
      grpc::CallbackServerContext* context) override;
  grpc::Status ListRuns(grpc::ServerContext* context, const v1::ListRunsRequest* request,
                        v1::ListRunsResponse* response) override;
  grpc::Status GetRun(grpc::ServerContext* context, const v1::GetRunRequest* request,
                      v1::GetRunResponse* response) override;
  grpc::Status Compare(grpc::ServerContext* context, const v1::CompareRequest* request,
                       grpc::ServerWriter<v1::CompareResponse>* writer) override;
  grpc::Status Export(grpc::ServerContext* context, const v1::ExportRequest* request,
                      grpc::ServerWriter<v1::ExportResponse>* writer) override;
  grpc::Status Import(grpc::ServerContext* context, grpc::ServerReader<v1::ImportRequest>* reader,
                      v1::ImportResponse* response) override;
  grpc::Status GetTensor(grpc::ServerContext* context, const v1::GetTensorRequest* request,
                         v1::Tensor* response) override;
  grpc::Status ReadCapture(grpc::ServerContext* context, const v1::ReadCaptureRequest* request,
                           grpc::ServerWriter<v1::Frame>* writer) override;
  grpc::Status DeleteRun(grpc::ServerContext* context, const v1::DeleteRunRequest* request,
                         v1::DeleteRunResponse* response) override;

 private:
  store::CaptureStore* const store_;
  const int64_t max_message_bytes_;
};

}  // namespace parity::query

#endif  // PARITY_COLLECTOR_QUERY_COLLECTOR_SERVICE_H_
