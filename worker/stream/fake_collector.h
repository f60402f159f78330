// A collector in this process that misbehaves on demand, for tests of what talks to one.
#ifndef PARITY_WORKER_STREAM_FAKE_COLLECTOR_H_
#define PARITY_WORKER_STREAM_FAKE_COLLECTOR_H_

#include <grpcpp/grpcpp.h>

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "parity/v1/collector.grpc.pb.h"

namespace parity::stream {

// Threading: thread-safe.
class FakeCollector final : public v1::Collector::Service {
 public:
  // Listens on `address`; an empty one is any free port of 127.0.0.1.
  explicit FakeCollector(const std::string& address = "");
  ~FakeCollector() override;

  const std::string& address() const { return address_; }
  std::shared_ptr<grpc::Channel> NewChannel() const;
  // Kills all calls and stops listening. Idempotent.
  void Die();

  // Misbehaviour, set before the call it concerns.
  std::atomic<int> refuse_code{0};  // Ingest ends with this code at once
  std::atomic<int64_t> break_after_frames{
      -1};  // the next Ingest ends with UNAVAILABLE after so many, acks withheld
  std::atomic<bool> hold{false};             // frames are not read
  std::atomic<int64_t> frame_delay_us{0};    // per frame
  std::atomic<int64_t> reject_position{-1};  // tensors of this position are rejected

  // What arrived: (position, checkpoint) -> bytes of data, first received wins.
  using Key = std::pair<int32_t, std::string>;
  std::map<Key, std::string> tensors() const;
  std::vector<v1::Frame> frames() const;
  v1::IngestRequest::OpenCapture opened() const;
  std::vector<v1::IngestRequest::SealCapture> seals() const;
  int connections() const;

  // What GetRun and ReadCapture answer.
  v1::GetRunResponse run;
  std::vector<v1::Frame> recorded;
  std::atomic<int64_t> recorded_sent{0};

 private:
  using Stream = grpc::ServerReaderWriter<v1::IngestResponse, v1::IngestRequest>;
  grpc::Status Ingest(grpc::ServerContext* context, Stream* stream) override;
  grpc::Status GetRun(grpc::ServerContext* context, const v1::GetRunRequest* request,
                      v1::GetRunResponse* response) override;
  grpc::Status ReadCapture(grpc::ServerContext* context, const v1::ReadCaptureRequest* request,
                           grpc::ServerWriter<v1::Frame>* writer) override;
  void Store(const v1::Frame& frame, v1::CaptureCounts& counts);
  v1::IngestResponse Seal(const v1::IngestRequest::SealCapture& seal,
                          const v1::CaptureCounts& counts);

  mutable absl::Mutex mutex_;
  std::map<Key, std::string> tensors_ ABSL_GUARDED_BY(mutex_);
  std::vector<v1::Frame> frames_ ABSL_GUARDED_BY(mutex_);
  v1::IngestRequest::OpenCapture opened_ ABSL_GUARDED_BY(mutex_);
  std::vector<v1::IngestRequest::SealCapture> seals_ ABSL_GUARDED_BY(mutex_);
  int connections_ ABSL_GUARDED_BY(mutex_) = 0;
  std::atomic<bool> dead_{false};
  std::string address_;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace parity::stream

#endif  // PARITY_WORKER_STREAM_FAKE_COLLECTOR_H_
