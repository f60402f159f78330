#include "collector/cli/fake_services.h"

#include <chrono>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"

namespace parity::cli {

grpc::Status FakeCollector::ListRuns(grpc::ServerContext* context,
                                     const v1::ListRunsRequest* request,
                                     v1::ListRunsResponse* response) {
  while (hang && !context->IsCancelled()) absl::SleepFor(absl::Milliseconds(1));
  list_request = *request;
  *response = runs;
  return status;
}

grpc::Status FakeCollector::GetRun(grpc::ServerContext* context, const v1::GetRunRequest* request,
                                   v1::GetRunResponse* response) {
  *response = run;
  return status;
}

grpc::Status FakeCollector::GetTensor(grpc::ServerContext* context,
                                      const v1::GetTensorRequest* request, v1::Tensor* response) {
  *response = tensor;
  return status;
}

grpc::Status FakeCollector::Compare(grpc::ServerContext* context, const v1::CompareRequest* request,
                                    grpc::ServerWriter<v1::CompareResponse>* writer) {
  compare_request = *request;
  for (const v1::CompareResponse& message : comparison) writer->Write(message);
  return status;
}

grpc::Status FakeCollector::Export(grpc::ServerContext* context, const v1::ExportRequest* request,
                                   grpc::ServerWriter<v1::ExportResponse>* writer) {
  export_request = *request;
  if (before_export) before_export();
  for (const std::string& chunk : chunks) {
    v1::ExportResponse message;
    message.set_chunk(chunk);
    writer->Write(message);
  }
  return status;
}

grpc::Status FakeCollector::Import(grpc::ServerContext* context,
                                   grpc::ServerReader<v1::ImportRequest>* reader,
                                   v1::ImportResponse* response) {
  ++imports;
  for (v1::ImportRequest message; reader->Read(&message);) {
    if (message.has_options()) import_options = message.options();
    import_bytes += message.chunk();
  }
  *response = imported;
  return status;
}

grpc::Status FakeCollector::DeleteRun(grpc::ServerContext* context,
                                      const v1::DeleteRunRequest* request,
                                      v1::DeleteRunResponse* response) {
  ++deletes;
  delete_request = *request;
  *response = deleted;
  return status;
}

grpc::Status FakeWorker::Generate(grpc::ServerContext* context, const v1::GenerateRequest* asked,
                                  grpc::ServerWriter<v1::GenerateEvent>* writer) {
  request = *asked;
  for (const v1::GenerateEvent& event : events) writer->Write(event);
  return status;
}

FakeServer::FakeServer() {
  int port = 0;
  grpc::ServerBuilder builder;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
  builder.RegisterService(&collector);
  builder.RegisterService(&worker);
  server_ = builder.BuildAndStart();
  address_ = absl::StrCat("127.0.0.1:", port);
}

FakeServer::~FakeServer() { server_->Shutdown(std::chrono::system_clock::now()); }

}  // namespace parity::cli
