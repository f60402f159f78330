#include "worker/request/validation.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "proto/text/capture_name.h"
#include "worker/capture/capture_spec.h"

namespace parity::request {
namespace {

constexpr size_t kMaxPromptBytes = 4 << 20;  // the tokenizer's own limit
constexpr int kMaxStopStrings = 16;
constexpr size_t kMaxStopBytes = 256;

class Violations {
 public:
  template <typename... Args>
  void Add(const Args&... args) {
    list_.push_back(absl::StrCat(args...));
  }
  void AddError(const absl::Status& status) {
    if (!status.ok()) Add(status.message());
  }

  absl::Status status() const {
    if (list_.empty()) return absl::OkStatus();
    return absl::InvalidArgumentError(absl::StrCat(
        list_.size(),
        list_.size() == 1 ? " invalid field: " : " invalid fields: ", absl::StrJoin(list_, "; ")));
  }

 private:
  std::vector<std::string> list_;
};

void CheckIds(absl::string_view field, const google::protobuf::RepeatedField<int32_t>& ids,
              int32_t vocabulary, Violations& violations) {
  for (int i = 0; i < ids.size(); ++i) {
    if (ids[i] >= 0 && ids[i] < vocabulary) continue;
    violations.Add(field, "[", i, "]: found ", ids[i], ", expected 0 to ", vocabulary - 1);
    return;
  }
}

void CheckRange(absl::string_view field, float value, float high, absl::string_view expected,
                Violations& violations) {
  if (std::isfinite(value) && value >= 0 && value <= high) return;
  violations.Add(field, ": found ", value, ", expected ", expected);
}

void CheckNames(const v1::GenerateRequest& request, Violations& violations) {
  if (request.run().empty()) {
    if (request.has_capture() && FollowedCapture(request).empty()) {
      violations.Add("run: empty, expected a name since a capture is asked for");
    }
  } else {
    violations.AddError(text::CheckRunName(request.run()));
  }
  if (!request.team().empty()) violations.AddError(text::CheckTeamName(request.team()));
  violations.AddError(text::CheckNote(request.note()));
  if (!request.shadow().empty() && !ParseFollowed(request.shadow()).ok()) {
    violations.Add("shadow: expected RUN/TEAM");
  }
  if (!request.follow().empty() && !ParseFollowed(request.follow()).ok()) {
    violations.Add("follow: expected RUN/TEAM");
  }
  if (!request.shadow().empty() && !request.follow().empty()) {
    violations.Add("shadow, follow: expected at most one of them");
  }
}

void CheckInput(const v1::GenerateRequest& request, const Limits& limits, Violations& violations) {
  const bool both = !request.prompt().empty() && request.token_ids_size() > 0;
  const bool neither = request.prompt().empty() && request.token_ids_size() == 0;
  if (both || (neither && FollowedCapture(request).empty())) {
    violations.Add("prompt, token_ids: expected exactly one of them");
  }
  if (request.prompt().size() > kMaxPromptBytes) {
    violations.Add("prompt: found ", request.prompt().size(), " bytes, expected at most ",
                   kMaxPromptBytes);
  }
  CheckIds("token_ids", request.token_ids(), limits.vocabulary, violations);
  CheckIds("forced_token_ids", request.forced_token_ids(), limits.vocabulary, violations);
  if (request.token_ids_size() > limits.context_tokens) {
    violations.Add("token_ids: found ", request.token_ids_size(), " tokens, the context holds ",
                   limits.context_tokens);
  }
}

void CheckSampling(const v1::GenerateRequest& request, Violations& violations) {
  if (request.max_tokens() < 0) {
    violations.Add("max_tokens: found ", request.max_tokens(), ", expected 0 or more");
  }
  CheckRange("temperature", request.temperature(), 1000.0f, "0 to 1000", violations);
  if (request.top_k() < 0) {
    violations.Add("top_k: found ", request.top_k(), ", expected 0 (all) or more");
  }
  CheckRange("top_p", request.top_p(), 1.0f, "0 to 1", violations);
  CheckRange("min_p", request.min_p(), 1.0f, "0 to 1", violations);
  if (request.prefill_tokens_per_step() < 0) {
    violations.Add("prefill_tokens_per_step: found ", request.prefill_tokens_per_step(),
                   ", expected 0 (the engine's default) or more");
  }
  if (request.stop_size() > kMaxStopStrings) {
    violations.Add("stop: found ", request.stop_size(), " strings, expected at most ",
                   kMaxStopStrings);
  }
  for (int i = 0; i < std::min(request.stop_size(), kMaxStopStrings); ++i) {
    if (!request.stop(i).empty() && request.stop(i).size() <= kMaxStopBytes) continue;
    violations.Add("stop[", i, "]: found ", request.stop(i).size(), " bytes, expected 1 to ",
                   kMaxStopBytes);
  }
}

}  // namespace

const std::string& FollowedCapture(const v1::GenerateRequest& request) {
  return request.shadow().empty() ? request.follow() : request.shadow();
}

absl::StatusOr<std::pair<std::string, std::string>> ParseFollowed(absl::string_view followed) {
  const std::pair<std::string, std::string> parts =
      absl::StrSplit(followed, absl::MaxSplits('/', 1));
  if (!text::CheckRunName(parts.first).ok() || !text::CheckTeamName(parts.second).ok()) {
    return absl::InvalidArgumentError("expected RUN/TEAM");
  }
  return parts;
}

absl::Status Validate(const v1::GenerateRequest& request, const Limits& limits) {
  Violations violations;
  CheckNames(request, violations);
  CheckInput(request, limits, violations);
  CheckSampling(request, violations);
  if (request.has_capture()) {
    violations.AddError(capture::Selection::Select(request.capture(), limits.checkpoints).status());
  }
  return violations.status();
}

}  // namespace parity::request
