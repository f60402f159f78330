#include "collector/compare/shadow_stretch.h"

#include <algorithm>
#include <optional>

#include "absl/strings/match.h"
#include "absl/strings/str_join.h"
#include "proto/checkpoint/name.h"

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
std::vector<Name> ModelNames(const std::vector<std::optional<Name>>& known,
                             absl::string_view architecture) {
  int32_t layers = 0;
  for (const auto& name : known) {
    if (name) layers = std::max(layers, name->layer + 1);
  }
  std::vector<Name> names;
  for (const checkpoint::StageTraits& traits : checkpoint::Stages()) {
    const bool seen = std::any_of(known.begin(), known.end(), [&](const auto& name) {
      return name && name->stage == traits.stage;
    });
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

RowStretch Describe(const Name& name, const checkpoint::Stretch& stretch, int layers) {
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

ShadowStretches::ShadowStretches(const Alignment& alignment, absl::string_view architecture) {
  std::vector<std::optional<Name>> known;
  std::vector<Name> names;       // those that are known...
  std::vector<int32_t> columns;  // ...and their index
  for (const std::string& text : alignment.names) {
    known.push_back(checkpoint::Parse(text));
    if (!known.back()) continue;
    columns.push_back(static_cast<int32_t>(known.size()) - 1);
    names.push_back(*known.back());
  }
  const std::vector<Name> model = ModelNames(known, architecture);
  int32_t layers = 0;
  for (const Name& name : model) layers = std::max(layers, name.layer + 1);

  std::map<std::vector<bool>, size_t> patterns;
  for (size_t begin = 0, end = 0; begin < alignment.rows.size(); begin = end) {
    const int32_t position = alignment.rows[begin].position;
    std::vector<bool> substituted(known.size(), false);
    for (end = begin; end < alignment.rows.size() && alignment.rows[end].position == position;
         ++end) {
      const AlignedRow& row = alignment.rows[end];
      substituted[row.checkpoint] =
          row.candidate >= 0 && !alignment.candidate[row.candidate].not_substituted;
    }
    const auto [found, added] = patterns.emplace(substituted, stretches_.size());
    if (added) {
      std::vector<Name> recorded;
      for (size_t i = 0; i < known.size(); ++i) {
        if (known[i] && substituted[i]) recorded.push_back(*known[i]);
      }
      const auto measured = checkpoint::MeasuredFromAll(names, model, recorded);
      std::vector<RowStretch>& rows = stretches_.emplace_back(known.size());
      for (size_t i = 0; i < names.size(); ++i) {
        rows[columns[i]] = Describe(names[i], measured[i], layers);
      }
    }
    if (pattern_.empty() || pattern_.rbegin()->second != found->second) {
      pattern_.emplace_hint(pattern_.end(), position, found->second);
    }
  }
}

const RowStretch& ShadowStretches::Of(const AlignedRow& row) const {
  const auto after = pattern_.upper_bound(row.position);
  return stretches_[std::prev(after)->second][row.checkpoint];
}

}  // namespace parity::compare
