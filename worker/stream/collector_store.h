// The collector as the place where captures go and where followed captures come from.
#ifndef PARITY_WORKER_STREAM_COLLECTOR_STORE_H_
#define PARITY_WORKER_STREAM_COLLECTOR_STORE_H_

#include <grpcpp/channel.h>

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "parity/v1/collector.pb.h"
#include "worker/capture/frame_sink.h"
#include "worker/stream/collector_stream.h"

namespace parity::stream {

// What a shadow run over `team` has to feed, from GetRun's answer. An id that the team does not
// know is taken from the run's other captures where those agree. Errors: NOT_FOUND (no such team),
// FAILED_PRECONDITION (no token record), INVALID_ARGUMENT (a position beyond reason).
absl::StatusOr<capture::ShadowPlan> PlanFrom(const v1::GetRunResponse& response,
                                             const std::string& team);

// Threading: thread-safe.
class CollectorStore final : public capture::CaptureStore {
 public:
  CollectorStore(std::shared_ptr<grpc::Channel> channel, StreamOptions options);

  absl::StatusOr<std::unique_ptr<capture::FrameSink>> Open(
      const v1::IngestRequest::OpenCapture& open, int64_t expected_bytes,
      const std::atomic<bool>& stop) override;
  absl::StatusOr<capture::ShadowPlan> PlanShadow(const std::string& run,
                                                 const std::string& team) override;
  absl::StatusOr<std::unique_ptr<capture::ShadowSource>> OpenShadow(
      const std::string& run, const std::string& team) override;

 private:
  const std::shared_ptr<grpc::Channel> channel_;
  StreamOptions options_;  // constant; one pool for all streams
};

}  // namespace parity::stream

#endif  // PARITY_WORKER_STREAM_COLLECTOR_STORE_H_
