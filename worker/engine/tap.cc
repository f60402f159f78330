#include "worker/engine/tap.h"

#include <glog/logging.h>

namespace parity::engine {

ObservedRows::ObservedRows(Observer* observer, const TapModel& model,
                           absl::Span<const checkpoint::Name> sites)
    : observer_(observer) {
  if (observer_ == nullptr) return;
  wanted_.resize(SiteIndex(Stage::kEmbed, model.layers), false);
  for (const checkpoint::Name& site : sites) {
    wanted_[SiteIndex(site.stage, site.layer)] = observer_->Wants(site.stage, site.layer);
  }
}

bool ObservedRows::WantsAnyOf(int32_t layer) const {
  if (wanted_.empty()) return false;
  for (int stage = 0; stage < checkpoint::kStageCount; ++stage) {
    if (wanted_[SiteIndex(static_cast<Stage>(stage), layer)]) return true;
  }
  return false;
}

void ObservedRows::Observe(Stage stage, int32_t layer, const MutableTensorView& value) {
  if (muted()) return;
  status_ = observer_->Observe(stage, layer, value);
  if (!status_.ok()) Mute();
}

Tap::Tap(kernels::Backend& ops, const TapModel& model, absl::Span<ObservedRows* const> observed,
         int64_t step_rows)
    : ops_(ops), model_(model), observed_(observed), step_rows_(step_rows) {
  for (const ObservedRows* rows : observed_) {
    const std::vector<bool>& wanted = rows->wanted();
    if (wanted_.size() < wanted.size()) wanted_.resize(wanted.size(), false);
    for (size_t i = 0; i < wanted.size(); ++i) {
      if (wanted[i]) wanted_[i] = true;
    }
  }
}

bool Tap::MayChange(Stage stage, int32_t layer) const {
  return absl::c_any_of(observed_, [&](const ObservedRows* rows) {
    return rows->Wants(stage, layer) && rows->substitutes();
  });
}

void Tap::Give(Stage stage, int32_t layer, kernels::Matrix value) const {
  const int64_t skipped = step_rows_ - value.rows;
  const int32_t heads = HeadsOf(stage);
  for (ObservedRows* rows : observed_) {
    if (!rows->Wants(stage, layer) || rows->muted()) continue;
    CHECK_GE(rows->first_row, skipped) << checkpoint::ToString({stage, layer});
    const kernels::Matrix own = {value.data + (rows->first_row - skipped) * value.cols, rows->rows,
                                 value.cols};
    ops_.Tap(own, rows->substitutes(),
             [rows, stage, layer, heads](absl::Span<float> values, int64_t count, int64_t cols) {
               rows->Observe(stage, layer, {values, count, cols, heads});
               return absl::OkStatus();
             });
  }
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
