#include "proto/checkpoint/name.h"

#include <glog/logging.h>

#include <algorithm>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace parity::checkpoint {
namespace {

constexpr StageTraits kStages[kStageCount] = {
    {Stage::kEmbed, "embed", false},
    {Stage::kAttnNorm, "attn.norm", true},
    {Stage::kAttnQ, "attn.q", true},
    {Stage::kAttnK, "attn.k", true},
    {Stage::kAttnV, "attn.v", true},
    {Stage::kAttnQNorm, "attn.q_norm", true},
    {Stage::kAttnKNorm, "attn.k_norm", true},
    {Stage::kAttnQRope, "attn.q_rope", true},
    {Stage::kAttnKRope, "attn.k_rope", true},
    {Stage::kAttnContext, "attn.context", true},
    {Stage::kAttnOut, "attn.out", true},
    {Stage::kAttnPostNorm, "attn.post_norm", true},
    {Stage::kAttnResidual, "attn.residual", true},
    {Stage::kMlpNorm, "mlp.norm", true},
    {Stage::kMlpGate, "mlp.gate", true},
    {Stage::kMlpUp, "mlp.up", true},
    {Stage::kMlpAct, "mlp.act", true},
    {Stage::kMlpDown, "mlp.down", true},
    {Stage::kMlpPostNorm, "mlp.post_norm", true},
    {Stage::kLayerOut, "out", true},
    {Stage::kFinalNorm, "final.norm", false},
    {Stage::kLogits, "logits", false},
};

constexpr absl::string_view kLayerPrefix = "layer.";
// No more than a model may have (facts: block_count <= 1,024): walking a hostile name's layers
// stays cheap.
constexpr int32_t kMaxLayer = 1023;
constexpr int64_t kOrdinalsPerLayer = 64;  // > kStageCount, room for unknown names at the end
constexpr int64_t kAfterLayers = int64_t{1} << 40;   // final.norm, logits and names without a layer
constexpr int64_t kUnknown = kOrdinalsPerLayer - 1;  // after all stages of its layer

// Reads the digits at the front of `text` and removes them. Absent when there are none or too many.
std::optional<int32_t> ConsumeLayer(absl::string_view* text) {
  size_t digits = 0;
  while (digits < text->size() && (*text)[digits] >= '0' && (*text)[digits] <= '9') ++digits;
  int32_t layer = 0;
  if (digits == 0 || digits > 8 || !absl::SimpleAtoi(text->substr(0, digits), &layer) ||
      layer > kMaxLayer) {
    return std::nullopt;
  }
  text->remove_prefix(digits);
  return layer;
}

// The layer a foreign name mentions: "layers.3.", "blk.3.", "h.3." or a trailing "-3".
int32_t MentionedLayer(absl::string_view text) {
  for (absl::string_view word : {"layer.", "layers.", "blk.", "h."}) {
    for (size_t at = text.find(word); at != absl::string_view::npos; at = text.find(word, at + 1)) {
      if (at != 0 && text[at - 1] != '.' && text[at - 1] != '/') continue;
      absl::string_view rest = text.substr(at + word.size());
      if (std::optional<int32_t> layer = ConsumeLayer(&rest)) return *layer;
    }
  }
  const size_t dash = text.rfind('-');
  if (dash == absl::string_view::npos) return -1;
  absl::string_view rest = text.substr(dash + 1);
  std::optional<int32_t> layer = ConsumeLayer(&rest);
  return layer && rest.empty() ? *layer : -1;
}

using NameSet = absl::flat_hash_set<int64_t>;

NameSet ToSet(absl::Span<const Name> names) {
  NameSet set;
  set.reserve(names.size());
  for (const Name& name : names) set.insert(Ordinal(name));
  return set;
}

int32_t LastLayer(absl::Span<const Name> names) {
  int32_t last = -1;
  for (const Name& name : names) last = std::max(last, name.layer);
  return last;
}

// What the residual stream holds when `layer` begins.
Name StreamBefore(int32_t layer) {
  return layer <= 0 ? Name{Stage::kEmbed, -1} : Name{Stage::kLayerOut, layer - 1};
}

// Inputs in a model that has every stage.
std::vector<Name> FullInputs(Name name, int32_t last_layer) {
  const int32_t l = name.layer;
  switch (name.stage) {
    case Stage::kEmbed:
      return {};
    case Stage::kAttnNorm:
      return {StreamBefore(l)};
    case Stage::kAttnQ:
    case Stage::kAttnK:
    case Stage::kAttnV:
      return {{Stage::kAttnNorm, l}};
    case Stage::kAttnQNorm:
      return {{Stage::kAttnQ, l}};
    case Stage::kAttnKNorm:
      return {{Stage::kAttnK, l}};
    case Stage::kAttnQRope:
      return {{Stage::kAttnQNorm, l}};
    case Stage::kAttnKRope:
      return {{Stage::kAttnKNorm, l}};
    case Stage::kAttnContext:
      return {{Stage::kAttnV, l}, {Stage::kAttnQRope, l}, {Stage::kAttnKRope, l}};
    case Stage::kAttnOut:
      return {{Stage::kAttnContext, l}};
    case Stage::kAttnPostNorm:
      return {{Stage::kAttnOut, l}};
    case Stage::kAttnResidual:
      return {StreamBefore(l), {Stage::kAttnPostNorm, l}};
    case Stage::kMlpNorm:
      return {{Stage::kAttnResidual, l}};
    case Stage::kMlpGate:
    case Stage::kMlpUp:
      return {{Stage::kMlpNorm, l}};
    case Stage::kMlpAct:
      return {{Stage::kMlpGate, l}, {Stage::kMlpUp, l}};
    case Stage::kMlpDown:
      return {{Stage::kMlpAct, l}};
    case Stage::kMlpPostNorm:
      return {{Stage::kMlpDown, l}};
    case Stage::kLayerOut:
      return {{Stage::kAttnResidual, l}, {Stage::kMlpPostNorm, l}};
    case Stage::kFinalNorm:
      return {StreamBefore(last_layer + 1)};
    case Stage::kLogits:
      return {{Stage::kFinalNorm, -1}};
  }
  return {};
}

// The inputs of `name`, each one that is not in `kept` replaced by its own inputs. Sorted,
// distinct.
std::vector<Name> InputsAmong(Name name, const NameSet& kept, int32_t last_layer) {
  std::vector<Name> found;
  std::vector<Name> open = FullInputs(name, last_layer);
  NameSet seen;  // both terms of a residual lead to the layer before: visit each name once
  while (!open.empty()) {
    const Name next = open.back();
    open.pop_back();
    if (!seen.insert(Ordinal(next)).second) continue;
    if (kept.contains(Ordinal(next))) {
      found.push_back(next);
      continue;
    }
    for (const Name& input : FullInputs(next, last_layer)) open.push_back(input);
  }
  std::sort(found.begin(), found.end(),
            [](const Name& a, const Name& b) { return Ordinal(a) < Ordinal(b); });
  return found;
}

// Matches one character against the "[...]" at the front of `glob`; `length` receives the length of
// the class, 0 when it is not closed (it then stands for itself).
bool ClassMatches(absl::string_view glob, char c, size_t* length) {
  size_t i = 1;
  const bool negated = i < glob.size() && (glob[i] == '!' || glob[i] == '^');
  if (negated) ++i;
  bool hit = false;
  for (bool first = true; i < glob.size() && (first || glob[i] != ']'); first = false) {
    char low = glob[i], high = glob[i];
    if (i + 2 < glob.size() && glob[i + 1] == '-' && glob[i + 2] != ']') {
      high = glob[i + 2];
      i += 2;
    }
    hit |= low <= c && c <= high;
    ++i;
  }
  *length = i < glob.size() ? i + 1 : 0;
  return hit != negated;
}

}  // namespace

absl::Span<const StageTraits> Stages() { return kStages; }

std::string ToString(Name name) {
  const StageTraits& traits = kStages[static_cast<int>(name.stage)];
  CHECK_EQ(traits.in_layer, name.layer >= 0) << traits.name << " with layer " << name.layer;
  if (!traits.in_layer) return traits.name;
  return absl::StrCat(kLayerPrefix, name.layer, ".", traits.name);
}

std::optional<Name> Parse(absl::string_view text) {
  int32_t layer = -1;
  if (absl::StartsWith(text, kLayerPrefix)) {
    text.remove_prefix(kLayerPrefix.size());
    const bool padded = text.size() > 1 && text[0] == '0' && text[1] != '.';
    std::optional<int32_t> number = ConsumeLayer(&text);
    if (!number || padded || text.empty() || text[0] != '.') return std::nullopt;
    text.remove_prefix(1);
    layer = *number;
  }
  for (const StageTraits& traits : kStages) {
    if (traits.in_layer == (layer >= 0) && text == traits.name) return Name{traits.stage, layer};
  }
  return std::nullopt;
}

bool IsStorable(absl::string_view text) {
  if (text.empty() || text.size() > 128) return false;
  return std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-' || c == '/';
  });
}

int64_t Ordinal(Name name) {
  const int64_t stage = static_cast<int64_t>(name.stage);
  if (name.stage == Stage::kEmbed) return 0;
  if (name.layer < 0) return kAfterLayers + stage;
  return (int64_t{name.layer} + 1) * kOrdinalsPerLayer + stage;
}

int64_t OrdinalOf(absl::string_view text) {
  if (std::optional<Name> name = Parse(text)) return Ordinal(*name);
  const int32_t layer = MentionedLayer(text);
  if (layer < 0) return kAfterLayers + kUnknown;
  return (int64_t{layer} + 1) * kOrdinalsPerLayer + kUnknown;
}

std::string StageLabel(absl::string_view text) {
  std::optional<Name> name = Parse(text);
  if (!name) return std::string(text);
  if (name->stage == Stage::kLayerOut) return "layer.out";
  return kStages[static_cast<int>(name->stage)].name;
}

int32_t LayerOf(absl::string_view text) {
  if (std::optional<Name> name = Parse(text)) return name->layer;
  return MentionedLayer(text);
}

std::vector<Name> DirectInputs(Name name, absl::Span<const Name> model_names) {
  return InputsAmong(name, ToSet(model_names), LastLayer(model_names));
}

std::vector<Stretch> MeasuredFrom(absl::Span<const Name> names, absl::Span<const Name> model_names,
                                  absl::Span<const Name> recorded) {
  const int32_t last_layer = LastLayer(model_names);
  const NameSet model = ToSet(model_names), kept = ToSet(recorded);
  std::vector<Stretch> stretches;
  stretches.reserve(names.size());
  for (const Name& name : names) {
    Stretch& stretch = stretches.emplace_back();
    stretch.from = InputsAmong(name, kept, last_layer);
    const std::vector<Name> direct = InputsAmong(name, model, last_layer);
    stretch.single_op = std::all_of(direct.begin(), direct.end(),
                                    [&](const Name& n) { return kept.contains(Ordinal(n)); });
  }
  return stretches;
}

bool GlobMatches(absl::string_view glob, absl::string_view name) {
  size_t g = 0, n = 0;
  size_t star = absl::string_view::npos, star_name = 0;
  while (n < name.size()) {
    size_t length = 1;
    bool matches = false;
    if (g < glob.size() && glob[g] == '*') {
      star = g++;
      star_name = n;
      continue;
    }
    if (g < glob.size() && glob[g] == '[') {
      matches = ClassMatches(glob.substr(g), name[n], &length);
      if (length == 0) {
        length = 1;
        matches = name[n] == '[';
      }
    } else if (g < glob.size()) {
      matches = glob[g] == '?' || glob[g] == name[n];
    }
    if (matches) {
      g += length;
      ++n;
    } else if (star != absl::string_view::npos) {  // let the last star take one character more
      g = star + 1;
      n = ++star_name;
    } else {
      return false;
    }
  }
  while (g < glob.size() && glob[g] == '*') ++g;
  return g == glob.size();
}

}  // namespace parity::checkpoint
