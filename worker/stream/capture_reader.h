// Reads a capture back from the collector, a bounded number of bytes ahead: what a shadow run
// follows.
#ifndef PARITY_WORKER_STREAM_CAPTURE_READER_H_
#define PARITY_WORKER_STREAM_CAPTURE_READER_H_

#include <grpcpp/grpcpp.h>

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "parity/v1/collector.grpc.pb.h"
#include "worker/capture/frame_sink.h"

namespace parity::stream {

// Threading: as ShadowSource; a thread of its own reads ahead.
class CaptureReader final : public capture::ShadowSource {
 public:
  // 64 MiB: about 50 tokens of a small model's full capture, more than a step takes while the next
  // is fetched.
  static constexpr int64_t kAheadBytes = 64 << 20;

  CaptureReader(std::shared_ptr<grpc::Channel> channel, v1::ReadCaptureRequest request,
                int64_t ahead_bytes = kAheadBytes);
  ~CaptureReader() override;

  // Errors: the collector's, with "reading RUN/TEAM"; CANCELLED.
  absl::StatusOr<std::optional<v1::Frame>> Next(const std::atomic<bool>& stop) override;

 private:
  void Run();

  const std::unique_ptr<v1::Collector::Stub> stub_;
  const v1::ReadCaptureRequest request_;
  const int64_t ahead_bytes_;
  grpc::ClientContext context_;
  absl::Mutex mutex_;
  absl::CondVar changed_;
  std::deque<v1::Frame> frames_ ABSL_GUARDED_BY(mutex_);
  int64_t bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  bool closing_ ABSL_GUARDED_BY(mutex_) = false;
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Status status_ ABSL_GUARDED_BY(mutex_);
  std::thread thread_;
};

}  // namespace parity::stream

#endif  // PARITY_WORKER_STREAM_CAPTURE_READER_H_
