#include "worker/request/request_plan.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "proto/status/status_macros.h"
#include "proto/text/capture_name.h"
#include "worker/request/validation.h"

namespace parity::request {
namespace {

constexpr int32_t kDefaultMaxTokens = 16;

// Those of the request: its prompt's or its token_ids.
absl::StatusOr<std::vector<int32_t>> GivenIds(const v1::GenerateRequest& request,
                                              const Served& served, Plan& plan) {
  if (request.prompt().empty()) {
    return std::vector<int32_t>(request.token_ids().begin(), request.token_ids().end());
  }
  if (served.tokenizer == nullptr) {
    return absl::UnimplementedError(absl::StrCat("this model's text cannot be tokenised (",
                                                 served.tokenizer_status.message(),
                                                 "); give token_ids"));
  }
  tokenizer::EncodeOptions options;
  options.dropped_bytes = &plan.dropped_prompt_bytes;
  ASSIGN_OR_RETURN(std::vector<int32_t> ids, served.tokenizer->Encode(request.prompt(), options));
  if (ids.empty()) return absl::InvalidArgumentError("prompt: it has no tokens");
  return ids;
}

absl::Status CheckLength(size_t tokens, int32_t context) {
  if (tokens <= static_cast<size_t>(context)) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("prompt: found ", tokens, " tokens, the context holds ", context));
}

// Fills the ids that no capture knows from those the caller gives.
absl::Status Complete(std::vector<int32_t>& ids, const std::vector<int32_t>& given,
                      const std::string& followed) {
  for (size_t i = 0; i < ids.size(); ++i) {
    if (ids[i] < 0 && i < given.size()) ids[i] = given[i];
    if (ids[i] < 0) {
      return absl::FailedPreconditionError(
          absl::StrCat(followed, ": no capture of the run knows the token id at position ", i,
                       "; give the prompt or token_ids"));
    }
    if (i < given.size() && given[i] != ids[i]) {
      return absl::FailedPreconditionError(absl::StrCat(followed, ": it was fed token ", ids[i],
                                                        " at position ", i, ", the request says ",
                                                        given[i]));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckFollowed(const capture::ShadowPlan& followed, const Served& served,
                           const std::string& name) {
  const std::string& sha = followed.provenance.model_sha256();
  if (!sha.empty() && sha != served.model_sha256) {
    return absl::FailedPreconditionError(
        absl::StrCat(name, ": it was computed from the model with sha256 ", sha,
                     ", this worker serves ", served.model_sha256));
  }
  const int32_t vocabulary = served.engine->info().vocabulary;
  for (size_t i = 0; i < followed.ids.size(); ++i) {
    if (followed.ids[i] < vocabulary) continue;
    return absl::FailedPreconditionError(
        absl::StrCat(name, ": token ", followed.ids[i], " at position ", i,
                     " is outside the vocabulary of ", vocabulary));
  }
  return absl::OkStatus();
}

// Feeds the prompt and continuation of another capture, as its shadow or freely.
absl::Status PlanFollowing(const v1::GenerateRequest& request, const Served& served, Plan& plan) {
  if (served.store == nullptr) {
    return absl::FailedPreconditionError(
        "following another capture needs a collector (--collector)");
  }
  plan.shadow = !request.shadow().empty();
  if (plan.shadow && !served.engine->can_substitute()) {
    return absl::UnimplementedError(absl::StrCat("the engine '", served.engine->info().engine,
                                                 "' cannot run as a shadow; use --engine cpu"));
  }
  const std::string name =
      absl::StrCat(plan.shadow ? "shadow of " : "following ", FollowedCapture(request));
  ASSIGN_OR_RETURN(std::tie(plan.followed_run, plan.followed_team),
                   ParseFollowed(FollowedCapture(request)));
  ASSIGN_OR_RETURN(capture::ShadowPlan followed,
                   served.store->PlanShadow(plan.followed_run, plan.followed_team));
  RETURN_IF_ERROR(CheckFollowed(followed, served, name));
  ASSIGN_OR_RETURN(std::vector<int32_t> given, GivenIds(request, served, plan));
  given.insert(given.end(), request.forced_token_ids().begin(), request.forced_token_ids().end());
  RETURN_IF_ERROR(Complete(followed.ids, given, name));
  RETURN_IF_ERROR(CheckLength(followed.ids.size(), ContextTokens(served)));
  const auto first_decode =
      std::find(followed.phases.begin() + 1, followed.phases.end(), v1::PHASE_DECODE);
  const auto split = followed.ids.begin() + (first_decode - followed.phases.begin());
  plan.job.prompt_ids.assign(followed.ids.begin(), split);
  plan.job.forced_ids.assign(split, followed.ids.end());
  plan.job.max_tokens = static_cast<int32_t>(plan.job.forced_ids.size());
  return absl::OkStatus();
}

absl::Status PlanOwn(const v1::GenerateRequest& request, const Served& served, Plan& plan) {
  GenerationJob& job = plan.job;
  ASSIGN_OR_RETURN(job.prompt_ids, GivenIds(request, served, plan));
  RETURN_IF_ERROR(CheckLength(job.prompt_ids.size(), ContextTokens(served)));
  job.forced_ids.assign(request.forced_token_ids().begin(), request.forced_token_ids().end());
  const int32_t forced = static_cast<int32_t>(job.forced_ids.size());
  job.max_tokens = request.max_tokens();
  if (job.max_tokens == 0) job.max_tokens = forced > 0 ? forced : kDefaultMaxTokens;
  job.stop.assign(request.stop().begin(), request.stop().end());
  return absl::OkStatus();
}

absl::Status PlanCapture(const v1::GenerateRequest& request, const Served& served, Plan& plan) {
  const bool wanted = request.has_capture() || plan.shadow;
  plan.to_collector = wanted && served.store != nullptr;
  plan.to_log = served.log != nullptr;
  if (wanted && !plan.to_collector && !plan.to_log) {
    return absl::FailedPreconditionError(
        "a capture is asked for, but this worker has neither a collector (--collector) nor a log");
  }
  if (!plan.to_collector && !plan.to_log) return absl::OkStatus();
  v1::CaptureSpec spec = request.capture();
  // A shadow records whatever the other team did; a log without a capture holds the logits.
  if (!request.has_capture()) spec.set_level(plan.shadow ? "full" : "logits");
  ASSIGN_OR_RETURN(plan.selection,
                   capture::Selection::Select(spec, served.engine->info().checkpoints));
  plan.job.capture_bytes_per_token = capture::BytesPerToken(plan.selection, served.engine->info());
  return absl::OkStatus();
}

void NameCapture(const v1::GenerateRequest& request, const Served& served, Plan& plan) {
  const std::string& engine = served.engine->info().engine;
  plan.run = request.run().empty() ? plan.followed_run : request.run();
  plan.team = request.team();
  if (plan.team.empty()) {
    plan.team = absl::StrCat("worker-", engine);
    if (plan.shadow) absl::StrAppend(&plan.team, "-shadow-of-", plan.followed_team);
    plan.team = plan.team.substr(0, text::kMaxNameBytes);
  }
}

std::string SamplerText(const GenerationJob& job) {
  if (!job.forced_ids.empty() && static_cast<int32_t>(job.forced_ids.size()) >= job.max_tokens) {
    return "forced";
  }
  return Describe(job.sampler);
}

}  // namespace

int32_t ContextTokens(const Served& served) {
  const int32_t model = served.engine->info().context_tokens;
  return served.context_tokens > 0 ? std::min(served.context_tokens, model) : model;
}

v1::Provenance BaseProvenance(const Served& served) {
  const engine::EngineInfo& info = served.engine->info();
  v1::Provenance provenance;
  provenance.set_engine(info.engine);
  provenance.set_engine_version(info.engine_version);
  provenance.set_model_sha256(served.model_sha256);
  provenance.set_model_name(served.model_name);
  provenance.set_architecture(info.architecture);
  provenance.set_weight_type(info.weight_type);
  provenance.set_kv_type(info.kv_type);
  provenance.set_activation_precision(info.activation_precision);
  provenance.set_attention(info.attention);
  provenance.set_numerics(info.numerics);
  provenance.set_compute_path(info.compute_path);
  provenance.set_threads(info.threads);
  provenance.set_host(served.host);
  provenance.set_kind(v1::CAPTURE_KIND_FREE);
  for (const auto& [key, value] : info.extra) (*provenance.mutable_extra())[key] = value;
  return provenance;
}

absl::StatusOr<Plan> MakePlan(const v1::GenerateRequest& request, const Served& served) {
  Plan plan;
  if (FollowedCapture(request).empty()) {
    RETURN_IF_ERROR(PlanOwn(request, served, plan));
  } else {
    RETURN_IF_ERROR(PlanFollowing(request, served, plan));
  }
  GenerationJob& job = plan.job;
  job.sampler = {request.temperature(), request.top_k(), request.top_p(), request.min_p(),
                 request.seed()};
  job.ignore_eos = request.ignore_eos();
  const int32_t longest = served.engine->max_step_tokens();
  job.step_tokens = request.prefill_tokens_per_step() == 0
                        ? longest
                        : std::min(request.prefill_tokens_per_step(), longest);
  plan.capacity = static_cast<int32_t>(std::min<int64_t>(
      ContextTokens(served), static_cast<int64_t>(job.prompt_ids.size()) + job.max_tokens));
  RETURN_IF_ERROR(PlanCapture(request, served, plan));
  NameCapture(request, served, plan);
  plan.provenance = BaseProvenance(served);
  plan.provenance.set_prefill_tokens_per_step(job.step_tokens);
  plan.provenance.set_sampler(SamplerText(job));
  plan.provenance.set_capture_spec(plan.selection.label());
  if (plan.shadow) {
    plan.provenance.set_kind(v1::CAPTURE_KIND_SHADOW);
    plan.provenance.set_shadow_of(request.shadow());
  }
  return plan;
}

}  // namespace parity::request
