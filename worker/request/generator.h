// Serves requests against one loaded model: sessions, captures, events. Knows nothing of gRPC.
#ifndef PARITY_WORKER_REQUEST_GENERATOR_H_
#define PARITY_WORKER_REQUEST_GENERATOR_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "parity/v1/worker.pb.h"
#include "worker/request/generation.h"
#include "worker/request/request_plan.h"
#include "worker/request/stop_signal.h"

namespace parity::request {

// The payload of a RESOURCE_EXHAUSTED status that says when to try again, in milliseconds, decimal.
inline constexpr char kRetryAfterMs[] = "retry-after-ms";

// Threading: thread-safe.
class Generator {
 public:
  Generator(Served served, int max_sessions);

  // Serves one request on the calling thread: one started event, token events, exactly one finished
  // event, then OK. An error means that nothing was sent: INVALID_ARGUMENT, RESOURCE_EXHAUSTED (all
  // sessions busy, with kRetryAfterMs), and those of MakePlan, CaptureStore::Open and
  // Engine::NewSession.
  absl::Status Generate(const v1::GenerateRequest& request, StopSignal& stop, EventSink& events);

  v1::GetModelResponse GetModel() const;
  absl::StatusOr<v1::TokenizeResponse> Tokenize(const v1::TokenizeRequest& request) const;
  absl::StatusOr<v1::DetokenizeResponse> Detokenize(const v1::DetokenizeRequest& request) const;

 private:
  class Slot;
  // Everything one call holds; ends in the order that is written.
  struct Call;

  absl::Status OpenSinks(const v1::GenerateRequest& request, const Plan& plan, StopSignal& stop,
                         Call& call);
  v1::GenerateEvent Started(const Plan& plan);
  void FinishSinks(Call& call, v1::GenerateEvent::Finished& finished);

  const Served served_;
  const int max_sessions_;
  mutable absl::Mutex mutex_;
  int active_ ABSL_GUARDED_BY(mutex_) = 0;
  int64_t served_calls_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::Duration typical_ ABSL_GUARDED_BY(mutex_) = absl::Seconds(1);  // smoothed time of a call
};

}  // namespace parity::request

#endif  // PARITY_WORKER_REQUEST_GENERATOR_H_
