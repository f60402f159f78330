// The Worker gRPC service: a thin skin over Generator.
#ifndef PARITY_WORKER_REQUEST_WORKER_SERVICE_H_
#define PARITY_WORKER_REQUEST_WORKER_SERVICE_H_

#include <grpcpp/grpcpp.h>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_set.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "parity/v1/worker.grpc.pb.h"
#include "worker/request/generator.h"

namespace parity::request {

// Threading: thread-safe. Each Generate call runs on a thread of its own, so that cancels are heard
// at once and idle streams cost the server none. The generator must outlive the service, the
// service the server.
class WorkerService final : public v1::Worker::CallbackService {
 public:
  explicit WorkerService(Generator& generator) : generator_(generator) {}
  // Waits for running calls.
  ~WorkerService() override;

  // Refuses new Generate calls with UNAVAILABLE and gives the running ones the time to end by
  // themselves.
  void Drain(absl::Duration at_most);

  // Refuses new Generate calls with UNAVAILABLE and stops the running ones: they end with a
  // finished event, CANCELLED.
  void StopAll();

 private:
  class GenerateCall;

  grpc::ServerWriteReactor<v1::GenerateEvent>* Generate(
      grpc::CallbackServerContext* context, const v1::GenerateRequest* request) override;
  grpc::ServerUnaryReactor* GetModel(grpc::CallbackServerContext* context,
                                     const v1::GetModelRequest* request,
                                     v1::GetModelResponse* response) override;
  grpc::ServerUnaryReactor* Tokenize(grpc::CallbackServerContext* context,
                                     const v1::TokenizeRequest* request,
                                     v1::TokenizeResponse* response) override;
  grpc::ServerUnaryReactor* Detokenize(grpc::CallbackServerContext* context,
                                       const v1::DetokenizeRequest* request,
                                       v1::DetokenizeResponse* response) override;

  Generator& generator_;
  absl::Mutex mutex_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  absl::flat_hash_set<GenerateCall*> calls_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace parity::request

#endif  // PARITY_WORKER_REQUEST_WORKER_SERVICE_H_
