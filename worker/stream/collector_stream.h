// Sends one capture to the collector over the Ingest RPC, through a queue of bounded bytes.
#ifndef PARITY_WORKER_STREAM_COLLECTOR_STREAM_H_
#define PARITY_WORKER_STREAM_COLLECTOR_STREAM_H_

#include <grpcpp/grpcpp.h>

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "parity/v1/collector.grpc.pb.h"
#include "worker/capture/block_pool.h"
#include "worker/capture/frame_sink.h"
#include "worker/capture/wire_frame.h"

namespace parity::stream {

struct StreamOptions {
  int64_t queue_bytes = 256 << 20;  // frames not yet acknowledged, sent or not
  absl::Duration open_timeout = absl::Seconds(5);
  // Without an ack for so long, while frames wait, nobody waits any more: what does not fit the
  // queue is dropped and counted until the collector is back.
  absl::Duration give_up = absl::Seconds(10);
  // While a connection stands and the queue is under half full, frames wait so long before they are
  // sent, then all together: whoever sends and stores takes a share of a core from the engine. 0:
  // each step's are sent at once.
  absl::Duration hold = absl::Seconds(1);
  absl::Duration first_backoff = absl::Milliseconds(100);
  absl::Duration max_backoff = absl::Seconds(1);
  std::shared_ptr<capture::BlockPool> blocks;  // memory for frames; null: none is lent
  int64_t expected_bytes = 0;                  // of which so much is made ready while opening
};

// A frame leaves the queue when the collector has committed it. After a broken connection all
// others are sent again (the collector counts what it has as duplicate). captured = acked + dropped
// at the end, whatever happens.
//
// Threading: as FrameSink; a thread of its own writes, another reads acks. Both have a low
// priority, so while there is room in the queue the pushing thread waits for no lock that they hold
// for longer than a swap, and wakes nobody while frames are held back.
class CollectorStream final : public capture::FrameSink {
 public:
  // Waits for the collector for open_timeout and goes on without it. Errors: what the collector
  // refuses the capture with (INVALID_ARGUMENT, FAILED_PRECONDITION, ALREADY_EXISTS,
  // PERMISSION_DENIED, UNAUTHENTICATED); CANCELLED by `stop`.
  static absl::StatusOr<std::unique_ptr<CollectorStream>> Open(
      std::shared_ptr<grpc::Channel> channel, v1::IngestRequest::OpenCapture open,
      StreamOptions options, const std::atomic<bool>& stop);
  // Abandons what is not acknowledged unless Finish() was called.
  ~CollectorStream() override;

  absl::Status WaitForRoom(int64_t bytes, const std::atomic<bool>& stop) override;
  int64_t capacity_bytes() const override { return options_.queue_bytes; }
  // Only keeps the frame: the sender gets it when it has been held, or with the WaitForRoom that
  // finds the queue half full, or with Finish.
  void Push(capture::WireFramePtr frame) override;
  std::shared_ptr<capture::BlockPool> blocks() const override { return options_.blocks; }
  // Drains the queue while acks keep coming, then seals.
  capture::CaptureResult Finish(absl::string_view incomplete_reason) override;

  // Bytes in the queue now, held back or not.
  int64_t queued_bytes() const { return total_bytes_; }

 private:
  using Rpc = grpc::ClientReaderWriter<grpc::ByteBuffer, v1::IngestResponse>;
  // What the sender writes next.
  struct Message {
    capture::WireFramePtr frame;  // null: the seal
    int64_t sequence = 0;
    bool more = false;  // another frame waits
    v1::IngestRequest seal;
  };

  CollectorStream(std::shared_ptr<grpc::Channel> channel, v1::IngestRequest::OpenCapture open,
                  StreamOptions options);

  void Run();  // the sender thread
  absl::Status RunConnection();
  void WriteAll(Rpc& rpc);
  // Whether what is in the inbox may stay there.
  bool MayHold() const;
  // Moves what is in the inbox to the entries.
  void TakeInbox() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // TakeInbox, and wakes the sender.
  void Deliver() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Accept(capture::WireFramePtr frame) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void OnResponse(const v1::IngestResponse& response);
  // Moves what is acknowledged to `done`, to be freed without the lock.
  void OnAck(const v1::IngestResponse::Ack& ack, std::vector<capture::WireFramePtr>& done)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void BeginConnection() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // The next message to write; false when the connection has no more use for the writer. Waits.
  bool NextMessage(Message& message);
  v1::IngestRequest SealMessage() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool Stalled() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Drop(const capture::WireFrame& frame) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void DropAll() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Abandon() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  int64_t Dropped() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  capture::CaptureResult Result() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const std::shared_ptr<grpc::Channel> channel_;
  const v1::IngestRequest::OpenCapture open_;
  const StreamOptions options_;

  std::atomic<int64_t> total_bytes_{0};  // of inbox_ and entries_

  // For a swap or a push only. Taken after mutex_ where both are.
  absl::Mutex inbox_mutex_;
  std::vector<capture::WireFramePtr> inbox_ ABSL_GUARDED_BY(inbox_mutex_);

  mutable absl::Mutex mutex_;
  absl::CondVar changed_;
  std::deque<capture::WireFramePtr> entries_ ABSL_GUARDED_BY(mutex_);
  size_t sent_ ABSL_GUARDED_BY(mutex_) = 0;             // of entries_, on this connection
  int64_t first_sequence_ ABSL_GUARDED_BY(mutex_) = 1;  // of entries_.front(), on this connection
  int64_t queued_bytes_ ABSL_GUARDED_BY(mutex_) = 0;    // of entries_
  int64_t granted_bytes_ ABSL_GUARDED_BY(mutex_) =
      0;  // a step larger than the queue, let through an empty one
  absl::Time last_progress_ ABSL_GUARDED_BY(mutex_);

  // Tensors.
  int64_t captured_ ABSL_GUARDED_BY(mutex_) = 0;
  int64_t settled_ ABSL_GUARDED_BY(mutex_) = 0;   // in acknowledged frames
  int64_t given_up_ ABSL_GUARDED_BY(mutex_) = 0;  // never acknowledged
  v1::CaptureCounts past_
      ABSL_GUARDED_BY(mutex_);  // the collector's counts over earlier connections
  v1::CaptureCounts current_ ABSL_GUARDED_BY(mutex_);  // over this one
  std::string first_rejection_ ABSL_GUARDED_BY(mutex_);

  grpc::ClientContext* context_ ABSL_GUARDED_BY(mutex_) = nullptr;  // of the connection in progress
  std::atomic<bool> opened_{false};                   // on this connection; written under the lock
  absl::Time look_ ABSL_GUARDED_BY(mutex_);           // when the sender takes what is held back
  bool reader_done_ ABSL_GUARDED_BY(mutex_) = false;  // on this connection
  bool seal_sent_ ABSL_GUARDED_BY(mutex_) = false;    // on this connection
  bool finishing_ ABSL_GUARDED_BY(mutex_) = false;
  std::string incomplete_reason_ ABSL_GUARDED_BY(mutex_);
  bool sealed_ ABSL_GUARDED_BY(mutex_) = false;
  v1::IngestResponse::Sealed seal_ ABSL_GUARDED_BY(mutex_);
  bool abandoned_ ABSL_GUARDED_BY(mutex_) = false;
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;       // the sender thread has nothing more to do
  absl::Status last_error_ ABSL_GUARDED_BY(mutex_);  // of the last connection
  std::thread sender_;
};

}  // namespace parity::stream

#endif  // PARITY_WORKER_STREAM_COLLECTOR_STREAM_H_
