#include "worker/stream/capture_reader.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "proto/status/annotate.h"
#include "proto/status/grpc_status.h"

namespace parity::stream {
namespace {

// How often Next() looks at the caller's stop flag, which cannot notify.
constexpr absl::Duration kTick = absl::Milliseconds(10);

}  // namespace

CaptureReader::CaptureReader(std::shared_ptr<grpc::Channel> channel, v1::ReadCaptureRequest request,
                             int64_t ahead_bytes)
    : stub_(v1::Collector::NewStub(std::move(channel))),
      request_(std::move(request)),
      ahead_bytes_(ahead_bytes) {
  thread_ = std::thread([this] { Run(); });
}

CaptureReader::~CaptureReader() {
  context_.TryCancel();
  {
    absl::MutexLock lock(&mutex_);
    closing_ = true;
    changed_.SignalAll();
  }
  thread_.join();
}

void CaptureReader::Run() {
  const auto rpc = stub_->ReadCapture(&context_, request_);
  v1::Frame frame;
  while (rpc->Read(&frame)) {
    absl::MutexLock lock(&mutex_);
    while (!closing_ && bytes_ > ahead_bytes_) changed_.Wait(&mutex_);
    if (closing_) break;
    bytes_ += static_cast<int64_t>(frame.ByteSizeLong());
    frames_.push_back(std::move(frame));
    frame = v1::Frame();
    changed_.SignalAll();
  }
  const grpc::Status status = rpc->Finish();
  absl::MutexLock lock(&mutex_);
  status_ = Annotate(FromGrpcStatus(status),
                     absl::StrCat("reading ", request_.run(), "/", request_.team()));
  ended_ = true;
  changed_.SignalAll();
}

absl::StatusOr<std::optional<v1::Frame>> CaptureReader::Next(const std::atomic<bool>& stop) {
  absl::MutexLock lock(&mutex_);
  while (frames_.empty() && !ended_) {
    if (stop.load(std::memory_order_relaxed)) return absl::CancelledError("stopped");
    changed_.WaitWithTimeout(&mutex_, kTick);
  }
  if (frames_.empty()) {
    if (!status_.ok()) return status_;
    return std::optional<v1::Frame>();
  }
  std::optional<v1::Frame> frame = std::move(frames_.front());
  frames_.pop_front();
  bytes_ -= static_cast<int64_t>(frame->ByteSizeLong());
  changed_.SignalAll();
  return frame;
}

}  // namespace parity::stream
