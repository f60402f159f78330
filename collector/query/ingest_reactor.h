// Carries one Ingest stream between gRPC and an IngestSession.
#ifndef PARITY_COLLECTOR_QUERY_INGEST_REACTOR_H_
#define PARITY_COLLECTOR_QUERY_INGEST_REACTOR_H_

#include <grpcpp/grpcpp.h>

#include <cstdint>
#include <deque>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "collector/ingest/ingest_session.h"
#include "collector/store/capture_store.h"
#include "parity/v1/collector.pb.h"

namespace parity::query {

// The callback API is used because a stream must be able to end with the store's error while the
// client is silent and waits for an ack. Messages are handled on a thread of the stream's own, so
// that back-pressure blocks nobody else; acks that pile up behind a slow client are merged into
// one. Deletes itself when gRPC is done with it.
class IngestReactor final : public grpc::ServerBidiReactor<v1::IngestRequest, v1::IngestResponse> {
 public:
  IngestReactor(store::CaptureStore* store, int64_t max_message_bytes);

  void OnReadDone(bool ok) override;
  void OnWriteDone(bool ok) override;
  void OnDone() override;

 private:
  void HandleMessages();
  absl::Status HandleUntilEnd();
  bool NextMessage(v1::IngestRequest& message);
  void Reply(v1::IngestResponse response);
  void OnProgress();
  // Writes the next thing there is to say, or finishes the call when all is said.
  void MaybeWrite();
  bool HasNews() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return !received_.empty() || ended_ || store_failed_;
  }

  ingest::IngestSession session_;
  v1::IngestRequest incoming_;   // gRPC's while a read runs
  v1::IngestResponse outgoing_;  // gRPC's while a write runs

  absl::Mutex mutex_;
  std::deque<v1::IngestRequest> received_ ABSL_GUARDED_BY(mutex_);
  bool reading_ ABSL_GUARDED_BY(mutex_) = true;
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;  // the client half-closed, cancelled or went away
  bool store_failed_ ABSL_GUARDED_BY(mutex_) = false;
  std::deque<v1::IngestResponse> answers_ ABSL_GUARDED_BY(mutex_);
  bool ack_due_ ABSL_GUARDED_BY(mutex_) = false;
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool broken_ ABSL_GUARDED_BY(mutex_) = false;  // a write failed: nobody listens
  bool finishing_ ABSL_GUARDED_BY(mutex_) = false;
  bool finished_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Status final_ ABSL_GUARDED_BY(mutex_);
  std::thread thread_;
};

}  // namespace parity::query

#endif  // PARITY_COLLECTOR_QUERY_INGEST_REACTOR_H_
