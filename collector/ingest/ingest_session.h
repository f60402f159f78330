// The state machine of one Ingest stream, free of gRPC: open, frames, seal; verification, counts
// and acks.
#ifndef PARITY_COLLECTOR_INGEST_INGEST_SESSION_H_
#define PARITY_COLLECTOR_INGEST_INGEST_SESSION_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "collector/store/capture_store.h"
#include "parity/v1/collector.pb.h"

namespace parity::ingest {

// One stream. Handle() and End() are called by one thread; progress is reported from the store's
// writer thread.
class IngestSession {
 public:
  // `on_progress` is called whenever Progress() or Failure() has news, from any thread; it must be
  // quick and may call only those two. `store` outlives the session.
  IngestSession(store::CaptureStore* store, int64_t max_message_bytes,
                std::function<void()> on_progress);
  // Waits until everything handed to the store is committed or has failed.
  ~IngestSession();

  // Takes one message, and returns the answer to an open or a seal; frames are answered by
  // Progress(). An error ends the stream: INVALID_ARGUMENT (no open first, a bad name),
  // OUT_OF_RANGE (a sequence gap), FAILED_PRECONDITION (the capture is sealed), or the store's. Bad
  // tensors are counted, and the stream goes on. Blocks for back-pressure.
  absl::StatusOr<std::optional<v1::IngestResponse>> Handle(const v1::IngestRequest& request);

  // The stream is over; `reason` says why for a capture that was not sealed: it stays INCOMPLETE
  // and may be resumed. Waits for what is queued, so Progress() is final afterwards.
  void End(absl::string_view reason);

  // What is committed so far, and the counts over this stream.
  v1::IngestResponse::Ack Progress() const;
  // Why the store refused a frame; OK otherwise. The stream should then end with it.
  absl::Status Failure() const;

 private:
  absl::StatusOr<v1::IngestResponse> Open(const v1::IngestRequest::OpenCapture& open);
  absl::Status AddFrame(const v1::IngestRequest::SequencedFrame& frame);
  absl::StatusOr<v1::IngestResponse> Seal(const v1::IngestRequest::SealCapture& seal);
  void Reject(int64_t tensors, absl::string_view why);
  void OnCommitted(int64_t sequence, const absl::StatusOr<store::AppendResult>& result);
  void WaitForQueued();
  bool NothingQueued() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return queued_ == 0; }

  store::CaptureStore* const store_;
  const int64_t max_message_bytes_;
  const std::function<void()> on_progress_;

  // The handling thread's own.
  std::optional<int64_t> capture_id_;
  std::string subject_;  // "RUN/TEAM", for messages
  int64_t next_sequence_ = 1;
  bool sealed_ = false;

  mutable absl::Mutex mutex_;
  int64_t queued_ ABSL_GUARDED_BY(mutex_) = 0;  // frames whose outcome is not known
  v1::IngestResponse::Ack progress_ ABSL_GUARDED_BY(mutex_);
  absl::Status failure_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace parity::ingest

#endif  // PARITY_COLLECTOR_INGEST_INGEST_SESSION_H_
