#include "collector/compare/shadow_stretch.h"

#include <algorithm>
#include <optional>

#include "absl/strings/match.h"
#include "absl/strings/str_join.h"

namespace parity::compare {
namespace {

using checkpoint::Name;
using checkpoint::Stage;

bool IsOptional(Stage stage, absl::string_view architecture) {
  switch (stage) {
    case Stage::kAttnQNorm:
    case Stage::kAttnKNorm:
      return !absl::StartsWith(architecture, "qwen3") && architecture != "gemma3";
    case Stage::kAttnPostNorm:
    case Stage::kMlpPostNorm:
      return architecture != "gemma3" && architecture != "gemma2";
    default:
      return false;
  }
}

// All the checkpoints the model computes, as far as one can tell: those every model has in every
// layer seen, and the optional ones that somebody recorded or the architecture is known for.
std::vector<Name> ModelNames(const std::vector<Name>& known, absl::string_view architecture) {
  int32_t layers = 0;
  for (const Name& name : known) layers = std::max(layers, name.layer + 1);
  std::vector<Name> names;
  for (const checkpoint::StageTraits& traits : checkpoint::Stages()) {
    const bool seen = std::any_of(known.begin(), known.end(),
                                  [&](const Name& name) { return name.stage == traits.stage; });
    if (IsOptional(traits.stage, architecture) && !seen) continue;
    if (!traits.in_layer) names.push_back({traits.stage, -1});
    for (int32_t layer = 0; traits.in_layer && layer < layers; ++layer) {
      names.push_back({traits.stage, layer});
    }
  }
  return names;
}

// Layers that lie between the value `name` stands for and the token: embed 0, layer.i.* i,
// layer.i.out i + 1.
int DepthOf(const Name& name, int layers) {
  if (name.stage == Stage::kEmbed) return 0;
  if (name.layer < 0) return layers;
  return name.stage == Stage::kLayerOut ? name.layer + 1 : name.layer;
}

RowStretch DescribeOne(const Name& name, const checkpoint::Stretch& stretch, int layers) {
  RowStretch row;
  std::vector<std::string> from;
  int start = stretch.from.empty() ? 0 : layers;
  for (const Name& input : stretch.from) {
    from.push_back(checkpoint::ToString(input));
    start = std::min(start, DepthOf(input, layers));
  }
  row.measured_from = absl::StrJoin(from, ",");
  row.single_op = stretch.single_op;
  const int end = name.layer < 0 ? layers : name.layer + 1;
  row.layers = std::max(1, end - start);
  return row;
}

}  // namespace

ShadowStretches::ShadowStretches(const std::vector<std::string>& names,
                                 absl::string_view architecture)
    : names_(names.size()) {
  for (size_t i = 0; i < names.size(); ++i) {
    const std::optional<Name> name = checkpoint::Parse(names[i]);
    if (!name) continue;
    columns_.push_back(static_cast<int32_t>(i));
    known_.push_back(*name);
  }
  model_ = ModelNames(known_, architecture);
  for (const Name& name : model_) layers_ = std::max(layers_, name.layer + 1);
}

const std::vector<RowStretch>& ShadowStretches::Of(const std::vector<bool>& substituted) {
  std::lock_guard<std::mutex> lock(mutex_);
  const auto [pattern, added] = patterns_.try_emplace(substituted);
  if (added) pattern->second = Describe(substituted);
  return pattern->second;
}

std::vector<RowStretch> ShadowStretches::Describe(const std::vector<bool>& substituted) const {
  std::vector<Name> recorded;
  for (size_t i = 0; i < known_.size(); ++i) {
    if (substituted[columns_[i]]) recorded.push_back(known_[i]);
  }
  const auto measured = checkpoint::MeasuredFrom(known_, model_, recorded);
  std::vector<RowStretch> rows(names_);
  for (size_t i = 0; i < known_.size(); ++i) {
    rows[columns_[i]] = DescribeOne(known_[i], measured[i], layers_);
  }
  return rows;
}

std::vector<bool> Substituted(const Alignment& alignment, size_t begin, size_t end, size_t names) {
  std::vector<bool> substituted(names, false);
  for (size_t i = begin; i < end; ++i) {
    const AlignedRow& row = alignment.rows[i];
    substituted[row.checkpoint] =
        row.candidate >= 0 && !alignment.candidate[row.candidate].not_substituted;
  }
  return substituted;
}

}  // namespace parity::compare
