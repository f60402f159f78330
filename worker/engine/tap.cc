#include "worker/engine/tap.h"

namespace parity::engine {

Tap::Tap(kernels::Backend& ops, Observer* observer, const TapModel& model,
         absl::Span<const checkpoint::Name> sites)
    : ops_(ops), observer_(observer), model_(model) {
  if (observer_ == nullptr) return;
  wanted_.resize(Index(Stage::kEmbed, model.layers), false);
  for (const checkpoint::Name& site : sites) {
    wanted_[Index(site.stage, site.layer)] = observer_->Wants(site.stage, site.layer);
  }
}

bool Tap::WantsAnyOf(int32_t layer) const {
  if (observer_ == nullptr) return false;
  for (int stage = 0; stage < checkpoint::kStageCount; ++stage) {
    if (wanted_[Index(static_cast<Stage>(stage), layer)]) return true;
  }
  return false;
}

void Tap::Give(Stage stage, int32_t layer, kernels::Matrix value) const {
  Observer* observer = observer_;
  const int32_t heads = HeadsOf(stage);
  ops_.Tap(value, observer->Substitutes(),
           [observer, stage, layer, heads](absl::Span<float> values, int64_t rows, int64_t cols) {
             return observer->Observe(stage, layer, {values, rows, cols, heads});
           });
}

int32_t Tap::HeadsOf(Stage stage) const {
  switch (stage) {
    case Stage::kAttnQ:
    case Stage::kAttnQNorm:
    case Stage::kAttnQRope:
      return model_.heads;
    case Stage::kAttnK:
    case Stage::kAttnV:
    case Stage::kAttnKNorm:
    case Stage::kAttnKRope:
      return model_.kv_heads;
    default:
      return 0;
  }
}

}  // namespace parity::engine
