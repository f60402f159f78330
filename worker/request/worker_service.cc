#include "worker/request/worker_service.h"

#include <string>
#include <system_error>
#include <thread>

#include "absl/strings/cord.h"
#include "absl/time/clock.h"
#include "proto/status/grpc_status.h"
#include "worker/request/stop_signal.h"

namespace parity::request {

// One Generate call. Made by the service, deletes itself in OnDone.
class WorkerService::GenerateCall final : public grpc::ServerWriteReactor<v1::GenerateEvent>,
                                          public EventSink {
 public:
  GenerateCall(WorkerService& service, grpc::CallbackServerContext& context,
               const v1::GenerateRequest& request)
      : service_(service),
        context_(context),
        request_(request),
        deadline_(absl::FromChrono(context.deadline())),
        stop_(deadline_) {}

  // The thread's last act is Finish(); it touches nothing afterwards.
  void Start() {
    try {
      std::thread([this] { End(service_.generator_.Generate(request_, stop_, *this)); }).detach();
    } catch (const std::system_error&) {
      End(absl::ResourceExhaustedError("the system has no thread left"));
    }
  }

  void End(const absl::Status& status) {
    if (const auto retry = status.GetPayload(kRetryAfterMs); retry.has_value()) {
      context_.AddTrailingMetadata(kRetryAfterMs, std::string(*retry));
    }
    Finish(ToGrpcStatus(status));
  }

  void Stop(v1::FinishReason reason) { stop_.Stop(reason); }

  bool Send(const v1::GenerateEvent& event) override {
    {
      absl::MutexLock lock(&mutex_);
      if (lost_) return false;
      writing_ = true;
    }
    StartWrite(&event);
    absl::MutexLock lock(&mutex_);
    mutex_.Await(absl::Condition(
        +[](bool* writing) { return !*writing; }, &writing_));
    return !lost_;
  }

  void OnWriteDone(bool ok) override {
    absl::MutexLock lock(&mutex_);
    writing_ = false;
    lost_ |= !ok;
  }

  void OnCancel() override {
    Stop(absl::Now() >= deadline_ ? v1::FINISH_REASON_DEADLINE : v1::FINISH_REASON_CANCELLED);
  }

  void OnDone() override {
    absl::MutexLock lock(&service_.mutex_);
    service_.calls_.erase(this);
    delete this;
  }

 private:
  WorkerService& service_;
  grpc::CallbackServerContext& context_;
  const v1::GenerateRequest request_;
  const absl::Time deadline_;
  StopSignal stop_;
  absl::Mutex mutex_;
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool lost_ ABSL_GUARDED_BY(mutex_) = false;
};

WorkerService::~WorkerService() {
  StopAll();
  absl::MutexLock lock(&mutex_);
  mutex_.Await(absl::Condition(
      +[](absl::flat_hash_set<GenerateCall*>* calls) { return calls->empty(); }, &calls_));
}

void WorkerService::Drain(absl::Duration at_most) {
  absl::MutexLock lock(&mutex_);
  stopping_ = true;
  mutex_.AwaitWithTimeout(
      absl::Condition(
          +[](absl::flat_hash_set<GenerateCall*>* calls) { return calls->empty(); }, &calls_),
      at_most);
}

void WorkerService::StopAll() {
  absl::MutexLock lock(&mutex_);
  stopping_ = true;
  for (GenerateCall* call : calls_) call->Stop(v1::FINISH_REASON_CANCELLED);
}

grpc::ServerWriteReactor<v1::GenerateEvent>* WorkerService::Generate(
    grpc::CallbackServerContext* context, const v1::GenerateRequest* request) {
  auto* call = new GenerateCall(*this, *context, *request);
  bool stopping = false;
  {
    absl::MutexLock lock(&mutex_);
    stopping = stopping_;
    calls_.insert(call);
  }
  if (stopping) {
    call->End(absl::UnavailableError("the worker is shutting down"));
  } else {
    call->Start();
  }
  return call;
}

grpc::ServerUnaryReactor* WorkerService::GetModel(grpc::CallbackServerContext* context,
                                                  const v1::GetModelRequest*,
                                                  v1::GetModelResponse* response) {
  *response = generator_.GetModel();
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  reactor->Finish(grpc::Status::OK);
  return reactor;
}

grpc::ServerUnaryReactor* WorkerService::Tokenize(grpc::CallbackServerContext* context,
                                                  const v1::TokenizeRequest* request,
                                                  v1::TokenizeResponse* response) {
  auto result = generator_.Tokenize(*request);
  if (result.ok()) *response = *std::move(result);
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  reactor->Finish(ToGrpcStatus(result.status()));
  return reactor;
}

grpc::ServerUnaryReactor* WorkerService::Detokenize(grpc::CallbackServerContext* context,
                                                    const v1::DetokenizeRequest* request,
                                                    v1::DetokenizeResponse* response) {
  auto result = generator_.Detokenize(*request);
  if (result.ok()) *response = *std::move(result);
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  reactor->Finish(ToGrpcStatus(result.status()));
  return reactor;
}

}  // namespace parity::request
