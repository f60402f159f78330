#include "worker/capture/capture_spec.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "proto/text/capture_choice.h"

namespace parity::capture {
namespace {

using checkpoint::Name;
using checkpoint::Stage;

bool InLayersLevel(Name name) {
  return name.stage == Stage::kEmbed || name.stage == Stage::kLayerOut ||
         name.stage == Stage::kFinalNorm || name.stage == Stage::kLogits;
}

bool InLevel(absl::string_view level, Name name) {
  if (level == "full") return true;
  return level == "layers" ? InLayersLevel(name) : name.stage == Stage::kLogits;
}

absl::Status CheckSpec(const v1::CaptureSpec& spec) {
  if (!spec.level().empty() && !text::IsCaptureLevel(spec.level())) {
    return absl::InvalidArgumentError("capture.level: expected logits, layers or full");
  }
  if (spec.level().empty() == (spec.globs_size() == 0)) {
    return absl::InvalidArgumentError("capture: expected either a level or globs");
  }
  if (spec.max_elements() < 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        "capture.max_elements: found ", spec.max_elements(), ", expected 0 (all) or more"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Selection> Selection::Select(const v1::CaptureSpec& spec,
                                            absl::Span<const Name> model_names) {
  if (absl::Status status = CheckSpec(spec); !status.ok()) return status;
  Selection selection;
  selection.max_elements_ = spec.max_elements();
  selection.label_ = spec.level().empty() ? absl::StrJoin(spec.globs(), ",") : spec.level();
  std::vector<bool> matched(spec.globs_size(), false);
  for (const Name name : model_names) {
    bool wanted = !spec.level().empty() && InLevel(spec.level(), name);
    const std::string text = checkpoint::ToString(name);
    for (int i = 0; i < spec.globs_size(); ++i) {
      if (!checkpoint::GlobMatches(spec.globs(i), text)) continue;
      matched[i] = true;
      wanted = true;
    }
    if (!wanted) continue;
    const size_t index = SiteIndex(name.stage, name.layer);
    if (selection.wanted_.size() <= index) selection.wanted_.resize(index + 1, false);
    selection.wanted_[index] = true;
    selection.names_.push_back(name);
  }
  std::vector<std::string> idle;
  for (int i = 0; i < spec.globs_size(); ++i) {
    if (!matched[i]) idle.push_back(absl::StrCat("'", spec.globs(i), "'"));
  }
  if (!idle.empty()) {
    return absl::InvalidArgumentError(absl::StrCat("capture.globs: ", absl::StrJoin(idle, ", "),
                                                   " matches no checkpoint of this model"));
  }
  std::sort(selection.names_.begin(), selection.names_.end(),
            [](Name a, Name b) { return checkpoint::Ordinal(a) < checkpoint::Ordinal(b); });
  return selection;
}

int64_t ElementsOf(Name name, const engine::EngineInfo& info) {
  switch (name.stage) {
    case Stage::kAttnQ:
    case Stage::kAttnQNorm:
    case Stage::kAttnQRope:
    case Stage::kAttnContext:
      return int64_t{info.heads} * info.head_size;
    case Stage::kAttnK:
    case Stage::kAttnV:
    case Stage::kAttnKNorm:
    case Stage::kAttnKRope:
      return int64_t{info.kv_heads} * info.head_size;
    case Stage::kMlpGate:
    case Stage::kMlpUp:
    case Stage::kMlpAct:
      return info.feed_forward;
    case Stage::kLogits:
      return info.vocabulary;
    default:
      return info.width;
  }
}

int64_t BytesPerToken(const Selection& selection, const engine::EngineInfo& info) {
  // Name, shape, type, checksum and tags of a Tensor take at most about 60 bytes on the wire.
  constexpr int64_t kTensorOverhead = 64;
  constexpr int64_t kFrameOverhead = 64;
  int64_t bytes = kFrameOverhead;
  for (const Name name : selection.names()) {
    int64_t elements = ElementsOf(name, info);
    if (selection.max_elements() > 0) elements = std::min(elements, selection.max_elements());
    bytes += elements * static_cast<int64_t>(sizeof(float)) + kTensorOverhead;
  }
  return bytes;
}

}  // namespace parity::capture
