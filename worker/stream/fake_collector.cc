#include "worker/stream/fake_collector.h"

#include "absl/strings/str_cat.h"

namespace parity::stream {

FakeCollector::FakeCollector(const std::string& address) {
  grpc::ServerBuilder builder;
  int port = 0;
  builder.SetMaxReceiveMessageSize(20 << 20);
  builder.AddListeningPort(address.empty() ? "127.0.0.1:0" : address,
                           grpc::InsecureServerCredentials(), &port);
  builder.RegisterService(this);
  server_ = builder.BuildAndStart();
  address_ = address.empty() ? absl::StrCat("127.0.0.1:", port) : address;
}

FakeCollector::~FakeCollector() { Die(); }

std::shared_ptr<grpc::Channel> FakeCollector::NewChannel() const {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 20);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 20);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 50);
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  return grpc::CreateCustomChannel(address_, grpc::InsecureChannelCredentials(), arguments);
}

void FakeCollector::Die() {
  dead_ = true;
  if (server_ == nullptr) return;
  server_->Shutdown(std::chrono::system_clock::now());
  server_.reset();
}

std::map<FakeCollector::Key, std::string> FakeCollector::tensors() const {
  absl::MutexLock lock(&mutex_);
  return tensors_;
}
std::vector<v1::Frame> FakeCollector::frames() const {
  absl::MutexLock lock(&mutex_);
  return frames_;
}
v1::IngestRequest::OpenCapture FakeCollector::opened() const {
  absl::MutexLock lock(&mutex_);
  return opened_;
}
std::vector<v1::IngestRequest::SealCapture> FakeCollector::seals() const {
  absl::MutexLock lock(&mutex_);
  return seals_;
}
int FakeCollector::connections() const {
  absl::MutexLock lock(&mutex_);
  return connections_;
}

void FakeCollector::Store(const v1::Frame& frame, v1::CaptureCounts& counts) {
  absl::MutexLock lock(&mutex_);
  frames_.push_back(frame);
  for (const v1::Tensor& tensor : frame.tensors()) {
    if (frame.position() == reject_position) {
      counts.set_rejected(counts.rejected() + 1);
      continue;
    }
    counts.set_acked(counts.acked() + 1);
    if (!tensors_.try_emplace({frame.position(), tensor.checkpoint()}, tensor.data()).second) {
      counts.set_duplicate(counts.duplicate() + 1);
    }
  }
}

v1::IngestResponse FakeCollector::Seal(const v1::IngestRequest::SealCapture& seal,
                                       const v1::CaptureCounts& counts) {
  absl::MutexLock lock(&mutex_);
  seals_.push_back(seal);
  v1::IngestResponse response;
  v1::IngestResponse::Sealed& sealed = *response.mutable_sealed();
  const bool complete = seal.dropped() == 0 && seal.incomplete_reason().empty() &&
                        seal.captured() == static_cast<int64_t>(tensors_.size());
  sealed.set_status(complete ? v1::CAPTURE_STATUS_COMPLETE : v1::CAPTURE_STATUS_INCOMPLETE);
  sealed.set_message(complete ? "" : absl::StrCat("incomplete: ", seal.incomplete_reason()));
  *sealed.mutable_counts() = counts;
  return response;
}

grpc::Status FakeCollector::Ingest(grpc::ServerContext* context, Stream* stream) {
  v1::IngestRequest request;
  if (!stream->Read(&request) || !request.has_open()) {
    return grpc::Status(grpc::StatusCode::INVALID_ARGUMENT, "no open first");
  }
  {
    absl::MutexLock lock(&mutex_);
    opened_ = request.open();
    ++connections_;
  }
  if (refuse_code != 0) {
    return grpc::Status(static_cast<grpc::StatusCode>(refuse_code.load()), "refused by the test");
  }
  v1::IngestResponse response;
  response.mutable_opened()->set_resumed(false);
  stream->Write(response);
  const int64_t break_after = break_after_frames.exchange(-1);
  v1::CaptureCounts counts;
  for (int64_t frames = 0; stream->Read(&request);) {
    while (hold && !dead_ && !context->IsCancelled()) absl::SleepFor(absl::Milliseconds(2));
    if (request.has_seal()) {
      stream->Write(Seal(request.seal(), counts));
      return grpc::Status::OK;
    }
    absl::SleepFor(absl::Microseconds(frame_delay_us.load()));
    if (request.frame().sequence() != ++frames) {
      return grpc::Status(grpc::StatusCode::OUT_OF_RANGE, "a sequence gap");
    }
    Store(request.frame().frame(), counts);
    if (frames == break_after) return grpc::Status(grpc::StatusCode::UNAVAILABLE, "broken");
    if (break_after >= 0) continue;
    response.mutable_ack()->set_committed_sequence(frames);
    *response.mutable_ack()->mutable_counts() = counts;
    if (counts.rejected() > 0) response.mutable_ack()->set_first_rejection("rejected by the test");
    stream->Write(response);
  }
  return grpc::Status::OK;
}

grpc::Status FakeCollector::GetRun(grpc::ServerContext*, const v1::GetRunRequest* request,
                                   v1::GetRunResponse* response) {
  if (request->run() != run.run().name()) {
    return grpc::Status(grpc::StatusCode::NOT_FOUND, "no such run: " + request->run());
  }
  *response = run;
  return grpc::Status::OK;
}

grpc::Status FakeCollector::ReadCapture(grpc::ServerContext* context, const v1::ReadCaptureRequest*,
                                        grpc::ServerWriter<v1::Frame>* writer) {
  while (hold && !dead_ && !context->IsCancelled()) absl::SleepFor(absl::Milliseconds(2));
  for (const v1::Frame& frame : recorded) {
    if (!writer->Write(frame)) return grpc::Status::CANCELLED;
    ++recorded_sent;
  }
  if (refuse_code != 0) {
    return grpc::Status(static_cast<grpc::StatusCode>(refuse_code.load()), "refused by the test");
  }
  return grpc::Status::OK;
}

}  // namespace parity::stream
