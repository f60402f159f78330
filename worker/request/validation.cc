#include "worker/request/validation.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "worker/capture/capture_spec.h"
#include "worker/tokenizer/utf8.h"

namespace parity::request {
namespace {

constexpr size_t kMaxNameBytes = 128;
constexpr size_t kMaxNoteBytes = 64 << 10;   // a page or ten; it opens every stream of the capture
constexpr size_t kMaxPromptBytes = 4 << 20;  // the tokenizer's own limit
constexpr int kMaxStopStrings = 16;
constexpr size_t kMaxStopBytes = 256;

bool IsName(absl::string_view text, absl::string_view also) {
  if (text.empty() || text.size() > kMaxNameBytes) return false;
  return std::all_of(text.begin(), text.end(), [&](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) ||
           also.find(c) != absl::string_view::npos;
  });
}

class Violations {
 public:
  template <typename... Args>
  void Add(const Args&... args) {
    list_.push_back(absl::StrCat(args...));
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
  } else if (!IsRunName(request.run())) {
    violations.Add("run: expected 1 to 128 bytes of [A-Za-z0-9._-]");
  }
  if (!request.team().empty() && !IsTeamName(request.team())) {
    violations.Add("team: expected 1 to 128 bytes of [A-Za-z0-9._+ -]");
  }
  if (request.note().size() > kMaxNoteBytes || !tokenizer::IsUtf8(request.note())) {
    violations.Add("note: found ", request.note().size(), " bytes, expected at most ",
                   kMaxNoteBytes, " of UTF-8");
  }
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

bool IsRunName(absl::string_view text) { return IsName(text, "._-"); }
bool IsTeamName(absl::string_view text) { return IsName(text, "._-+ "); }

const std::string& FollowedCapture(const v1::GenerateRequest& request) {
  return request.shadow().empty() ? request.follow() : request.shadow();
}

absl::StatusOr<std::pair<std::string, std::string>> ParseFollowed(absl::string_view text) {
  const size_t slash = text.find('/');
  if (slash == absl::string_view::npos || !IsRunName(text.substr(0, slash)) ||
      !IsTeamName(text.substr(slash + 1))) {
    return absl::InvalidArgumentError("expected RUN/TEAM");
  }
  return std::make_pair(std::string(text.substr(0, slash)), std::string(text.substr(slash + 1)));
}

absl::Status Validate(const v1::GenerateRequest& request, const Limits& limits) {
  Violations violations;
  CheckNames(request, violations);
  CheckInput(request, limits, violations);
  CheckSampling(request, violations);
  if (request.has_capture()) {
    const auto selection = capture::Selection::Select(request.capture(), limits.checkpoints);
    if (!selection.ok()) violations.Add(selection.status().message());
  }
  return violations.status();
}

}  // namespace parity::request
