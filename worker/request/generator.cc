#include "worker/request/generator.h"

#include <algorithm>
#include <utility>

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "proto/status/status_macros.h"
#include "worker/capture/capture_observer.h"
#include "worker/capture/jsonl_log.h"
#include "worker/capture/shadow_observer.h"
#include "worker/request/validation.h"

namespace parity::request {
namespace {

std::string IncompleteReason(const v1::GenerateEvent::Finished& finished) {
  switch (finished.reason()) {
    case v1::FINISH_REASON_CANCELLED:
      return "cancelled";
    case v1::FINISH_REASON_DEADLINE:
      return "deadline";
    case v1::FINISH_REASON_ERROR:
      return absl::StrCat("error: ", finished.message());
    default:
      return "";
  }
}

void AppendMessage(absl::string_view label, const std::string& text,
                   v1::GenerateEvent::Finished& finished) {
  if (text.empty()) return;
  finished.set_message(
      absl::StrCat(finished.message(), finished.message().empty() ? "" : "; ", label, text));
}

// What a person must know of a shadow run that did not follow everything.
std::string ShadowMessage(const capture::ShadowObserver::Counts& counts) {
  if (counts.substituted > 0 && counts.truncated + counts.missing + counts.unknown == 0) return "";
  return absl::StrCat(counts.substituted, " tensors substituted, ", counts.truncated,
                      " recorded as a prefix only, ", counts.missing, " not recorded, ",
                      counts.unknown, " under names of no checkpoint here");
}

}  // namespace

// One of max_sessions; gives it back when it goes.
class Generator::Slot {
 public:
  static absl::StatusOr<std::unique_ptr<Slot>> Take(Generator& owner) {
    absl::MutexLock lock(&owner.mutex_);
    if (owner.active_ >= owner.max_sessions_) {
      absl::Status status = absl::ResourceExhaustedError(
          absl::StrCat("all ", owner.max_sessions_, " sessions are busy (--max-sessions)"));
      const int64_t wait = absl::ToInt64Milliseconds(owner.typical_ / owner.max_sessions_);
      status.SetPayload(kRetryAfterMs,
                        absl::Cord(absl::StrCat(std::clamp<int64_t>(wait, 50, 30'000))));
      return status;
    }
    ++owner.active_;
    return std::unique_ptr<Slot>(new Slot(owner));
  }
  ~Slot() {
    absl::MutexLock lock(&owner_.mutex_);
    --owner_.active_;
    owner_.typical_ = (owner_.typical_ * 3 + (absl::Now() - start_)) / 4;
  }

 private:
  explicit Slot(Generator& owner) : owner_(owner), start_(absl::Now()) {}
  Generator& owner_;
  const absl::Time start_;
};

struct Generator::Call {
  std::unique_ptr<engine::Session> session;
  std::unique_ptr<capture::FrameSink> collector;
  std::unique_ptr<capture::FrameSink> log;
  std::unique_ptr<capture::ShadowSource> source;
  std::unique_ptr<capture::Recorder> recorder;
  const capture::ShadowObserver* shadow = nullptr;  // the recorder, in a shadow run

  std::vector<capture::FrameSink*> sinks() const {
    std::vector<capture::FrameSink*> all;
    if (log != nullptr) all.push_back(log.get());
    if (collector != nullptr) all.push_back(collector.get());
    return all;
  }
};

Generator::Generator(Served served, int max_sessions)
    : served_(std::move(served)), max_sessions_(std::max(max_sessions, 1)) {}

absl::Status Generator::OpenSinks(const v1::GenerateRequest& request, const Plan& plan,
                                  StopSignal& stop, Call& call) {
  if (plan.to_collector) {
    v1::IngestRequest::OpenCapture open;
    open.set_run(plan.run);
    open.set_team(plan.team);
    open.set_note(request.note());
    *open.mutable_provenance() = plan.provenance;
    const int64_t tokens = static_cast<int64_t>(plan.job.prompt_ids.size()) + plan.job.max_tokens;
    ASSIGN_OR_RETURN(
        call.collector,
        served_.store->Open(open, tokens * plan.job.capture_bytes_per_token, stop.flag()));
  }
  if (plan.to_log) call.log = std::make_unique<capture::JsonlSink>(*served_.log, plan.team);
  if (plan.shadow) {
    ASSIGN_OR_RETURN(call.source, served_.store->OpenShadow(plan.followed_run, plan.followed_team));
    auto shadow = std::make_unique<capture::ShadowObserver>(
        absl::StrCat(plan.followed_run, "/", plan.followed_team), plan.selection, *call.source,
        call.sinks());
    call.shadow = shadow.get();
    call.recorder = std::move(shadow);
  } else if (plan.to_collector || plan.to_log) {
    call.recorder = std::make_unique<capture::CaptureObserver>(plan.selection, call.sinks());
  }
  return absl::OkStatus();
}

v1::GenerateEvent Generator::Started(const Plan& plan) {
  v1::GenerateEvent event;
  v1::GenerateEvent::Started& started = *event.mutable_started();
  {
    absl::MutexLock lock(&mutex_);
    started.set_request_id(absl::StrCat("request-", ++served_calls_));
  }
  started.set_model_sha256(served_.model_sha256);
  started.mutable_prompt_token_ids()->Add(plan.job.prompt_ids.begin(), plan.job.prompt_ids.end());
  started.set_dropped_prompt_bytes(static_cast<int64_t>(plan.dropped_prompt_bytes));
  if (plan.to_collector) started.set_capture(absl::StrCat(plan.run, "/", plan.team));
  return event;
}

void Generator::FinishSinks(Call& call, v1::GenerateEvent::Finished& finished) {
  const std::string reason = IncompleteReason(finished);
  if (call.log != nullptr) {
    const capture::CaptureResult result = call.log->Finish(reason);
    *finished.mutable_capture() = result.counts;
    finished.set_capture_status(result.status);
    if (result.message != reason) AppendMessage("log: ", result.message, finished);
  }
  if (call.collector != nullptr) {
    const capture::CaptureResult result = call.collector->Finish(reason);
    *finished.mutable_capture() = result.counts;
    finished.set_capture_status(result.status);
    AppendMessage("capture: ", result.message, finished);
  }
}

absl::Status Generator::Generate(const v1::GenerateRequest& request, StopSignal& stop,
                                 EventSink& events) {
  const engine::EngineInfo& info = served_.engine->info();
  RETURN_IF_ERROR(Validate(request, {info.vocabulary, ContextTokens(served_), info.checkpoints}));
  ASSIGN_OR_RETURN(const std::unique_ptr<Slot> slot, Slot::Take(*this));
  ASSIGN_OR_RETURN(const Plan plan, MakePlan(request, served_));
  Call call;
  ASSIGN_OR_RETURN(call.session, served_.engine->NewSession(plan.capacity));
  RETURN_IF_ERROR(OpenSinks(request, plan, stop, call));
  if (!events.Send(Started(plan))) stop.Stop(v1::FINISH_REASON_CANCELLED);
  v1::GenerateEvent last;
  v1::GenerateEvent::Finished& finished = *last.mutable_finished();
  Generation generation(plan.job, {*call.session, info.vocabulary, served_.tokenizer,
                                   call.recorder.get(), call.sinks(), stop, events});
  finished = generation.Run();
  if (call.shadow != nullptr) {
    AppendMessage("shadow: ", ShadowMessage(call.shadow->counts()), finished);
  }
  FinishSinks(call, finished);
  events.Send(last);
  return absl::OkStatus();
}

v1::GetModelResponse Generator::GetModel() const {
  const engine::EngineInfo& info = served_.engine->info();
  v1::GetModelResponse response;
  *response.mutable_provenance() = BaseProvenance(served_);
  response.set_layers(info.layers);
  response.set_width(info.width);
  response.set_heads(info.heads);
  response.set_kv_heads(info.kv_heads);
  response.set_head_size(info.head_size);
  response.set_feed_forward(info.feed_forward);
  response.set_vocabulary(info.vocabulary);
  response.set_context_tokens(ContextTokens(served_));
  response.set_max_sessions(max_sessions_);
  {
    absl::MutexLock lock(&mutex_);
    response.set_active_sessions(active_);
  }
  for (const checkpoint::Name& name : info.checkpoints) {
    response.add_checkpoints(checkpoint::ToString(name));
  }
  if (served_.tokenizer != nullptr) {
    for (const int32_t id : served_.tokenizer->end_of_generation_ids()) {
      response.add_end_of_generation_ids(id);
    }
  }
  return response;
}

absl::StatusOr<v1::TokenizeResponse> Generator::Tokenize(const v1::TokenizeRequest& request) const {
  if (served_.tokenizer == nullptr) return served_.tokenizer_status;
  size_t dropped_bytes = 0;
  ASSIGN_OR_RETURN(
      const std::vector<int32_t> ids,
      served_.tokenizer->Encode(request.text(),
                                {request.add_special(), request.parse_special(), &dropped_bytes}));
  v1::TokenizeResponse response;
  response.set_dropped_bytes(static_cast<int64_t>(dropped_bytes));
  response.mutable_ids()->Add(ids.begin(), ids.end());
  return response;
}

absl::StatusOr<v1::DetokenizeResponse> Generator::Detokenize(
    const v1::DetokenizeRequest& request) const {
  if (served_.tokenizer == nullptr) return served_.tokenizer_status;
  v1::DetokenizeResponse response;
  ASSIGN_OR_RETURN(*response.mutable_text(),
                   served_.tokenizer->Decode(request.ids(), request.print_special()));
  return response;
}

}  // namespace parity::request
