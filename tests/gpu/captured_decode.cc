#include "tests/gpu/captured_decode.h"

#include <unistd.h>

#include <atomic>
#include <utility>

#include "absl/strings/str_cat.h"
#include "parity/v1/worker.pb.h"
#include "proto/serve/channel.h"
#include "proto/status/status_macros.h"
#include "worker/request/request_plan.h"
#include "worker/request/stop_signal.h"
#include "worker/stream/collector_store.h"

namespace parity::testing {
namespace {

class LastEvent : public request::EventSink {
 public:
  bool Send(const v1::GenerateEvent& event) override {
    if (event.has_finished()) finished = event.finished();
    return true;
  }
  v1::GenerateEvent::Finished finished;
};

request::Served Serve(engine::Engine& engine, const std::string& model,
                      capture::CaptureStore* store) {
  request::Served served = {};
  served.engine = &engine;
  served.tokenizer_status = absl::UnimplementedError("a benchmark's prompts are ids");
  served.model_name = model;
  served.model_sha256 = std::string(64, '0');
  served.store = store;
  served.host = "benchmark";
  return served;
}

}  // namespace

absl::StatusOr<std::unique_ptr<CapturedDecode>> CapturedDecode::Open(engine::Engine& engine,
                                                                     const std::string& model,
                                                                     const std::string& collector) {
  ASSIGN_OR_RETURN(auto channel, serve::OpenChannel(collector, {}));
  auto store =
      std::make_unique<stream::CollectorStore>(std::move(channel), stream::StreamOptions());
  return std::unique_ptr<CapturedDecode>(new CapturedDecode(engine, model, std::move(store)));
}

CapturedDecode::CapturedDecode(engine::Engine& engine, const std::string& model,
                               std::unique_ptr<capture::CaptureStore> store)
    : store_(std::move(store)), generator_(Serve(engine, model, store_.get()), 1) {}

absl::StatusOr<double> CapturedDecode::Rate(const std::vector<int32_t>& prompt, int tokens,
                                            const std::string& level) {
  v1::GenerateRequest request;
  request.mutable_token_ids()->Add(prompt.begin(), prompt.end());
  request.set_max_tokens(tokens);
  request.set_ignore_eos(true);
  if (!level.empty()) {
    // One database may serve several models and processes.
    static std::atomic<int> runs = 0;
    request.set_run(absl::StrCat("benchmark-", getpid(), "-", ++runs));
    request.set_team(level);
    request.mutable_capture()->set_level(level);
  }
  request::StopSignal stop;
  LastEvent events;
  RETURN_IF_ERROR(generator_.Generate(request, stop, events));
  const v1::GenerateEvent::Finished& finished = events.finished;
  const bool complete = finished.capture_status() == v1::CAPTURE_STATUS_COMPLETE;
  if (finished.generated_tokens() != tokens || complete == level.empty()) {
    return absl::UnavailableError(absl::StrCat("a capture of ", level.empty() ? "nothing" : level,
                                               ": ", finished.generated_tokens(), " of ", tokens,
                                               " tokens, ", finished.message()));
  }
  // The last token is chosen, not fed.
  const auto nanos = static_cast<double>(finished.decode_nanos() + finished.capture_wait_nanos());
  return (tokens - 1) / (nanos * 1e-9);
}

}  // namespace parity::testing
