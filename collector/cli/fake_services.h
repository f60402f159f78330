// Services with canned answers for the commands' tests: what they were asked is kept, what they say
// is set.
#ifndef PARITY_COLLECTOR_CLI_FAKE_SERVICES_H_
#define PARITY_COLLECTOR_CLI_FAKE_SERVICES_H_

#include <grpcpp/grpcpp.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "parity/v1/collector.grpc.pb.h"
#include "parity/v1/worker.grpc.pb.h"

namespace parity::cli {

// Set the members before the call; read them after it.
class FakeCollector final : public v1::Collector::Service {
 public:
  grpc::Status status;  // every call ends with it
  v1::ListRunsResponse runs;
  v1::GetRunResponse run;
  v1::Tensor tensor;
  std::vector<v1::CompareResponse> comparison;
  std::vector<std::string> chunks;
  v1::ImportResponse imported;
  v1::DeleteRunResponse deleted;
  bool hang = false;                    // until the caller gives up
  std::function<void()> before_export;  // may be null

  v1::ListRunsRequest list_request;
  v1::CompareRequest compare_request;
  v1::ExportRequest export_request;
  v1::ImportOptions import_options;
  std::string import_bytes;
  int imports = 0;
  v1::DeleteRunRequest delete_request;
  int deletes = 0;

  grpc::Status ListRuns(grpc::ServerContext* context, const v1::ListRunsRequest* request,
                        v1::ListRunsResponse* response) override;
  grpc::Status GetRun(grpc::ServerContext* context, const v1::GetRunRequest* request,
                      v1::GetRunResponse* response) override;
  grpc::Status GetTensor(grpc::ServerContext* context, const v1::GetTensorRequest* request,
                         v1::Tensor* response) override;
  grpc::Status Compare(grpc::ServerContext* context, const v1::CompareRequest* request,
                       grpc::ServerWriter<v1::CompareResponse>* writer) override;
  grpc::Status Export(grpc::ServerContext* context, const v1::ExportRequest* request,
                      grpc::ServerWriter<v1::ExportResponse>* writer) override;
  grpc::Status Import(grpc::ServerContext* context, grpc::ServerReader<v1::ImportRequest>* reader,
                      v1::ImportResponse* response) override;
  grpc::Status DeleteRun(grpc::ServerContext* context, const v1::DeleteRunRequest* request,
                         v1::DeleteRunResponse* response) override;
};

class FakeWorker final : public v1::Worker::Service {
 public:
  grpc::Status status;
  std::vector<v1::GenerateEvent> events;
  v1::GenerateRequest request;

  grpc::Status Generate(grpc::ServerContext* context, const v1::GenerateRequest* request,
                        grpc::ServerWriter<v1::GenerateEvent>* writer) override;
};

// Serves both on a free port of 127.0.0.1.
class FakeServer {
 public:
  FakeServer();
  ~FakeServer();

  FakeCollector collector;
  FakeWorker worker;
  const std::string& address() const { return address_; }

 private:
  std::string address_;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace parity::cli

#endif  // PARITY_COLLECTOR_CLI_FAKE_SERVICES_H_
