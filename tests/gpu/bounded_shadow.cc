#include "tests/gpu/bounded_shadow.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <vector>

#include "absl/strings/str_format.h"
#include "absl/types/span.h"
#include "tests/parity/metrics.h"

namespace parity::testing {
namespace {

using checkpoint::Stage;
using kernels::Numerics;

// f32 numerics: what the order of float sums explains (kShadowFloor), and no more.
constexpr double kMostF32 = 1e-10;
// Native, where no product of quantised weights stands before: float sums, and angles by repeated
// float products, which move a head by 1e-5 at these positions.
constexpr double kMostNative = 1e-8;
// A product of quantised weights multiplies int8 activations: what the rounding of its input has as
// NMSE (Int8Term), its output has in the mean; a short row of outputs has a multiple of it by
// chance.
constexpr double kChance = 4.0;
// The goal for models that are as wide as real ones. Small ones have rows of two or three blocks,
// where one large activation is a good part of a row: the derived term is the bound, and is shown.
constexpr double kGoal = 1e-4;

// Failures that are told one by one; the summary counts them all.
constexpr int64_t kMostShown = 20;

// NMSE of rounding x to steps of max / 127 per 32: uniform rounding leaves 1 / 12 of a step's
// square.
double Int8Term(absl::Span<const float> x) {
  double error = 0, total = 0;
  for (size_t b = 0; b < x.size(); b += 32) {
    double most = 0;
    for (size_t k = b; k < std::min(b + 32, x.size()); ++k) {
      most = std::max(most, std::fabs(static_cast<double>(x[k])));
      total += static_cast<double>(x[k]) * x[k];
    }
    error += 32 * (most / 127) * (most / 127) / 12;
  }
  return total > 0 ? error / total : 0;
}

// The checkpoint that the product of a stage multiplies.
std::optional<Stage> InputOf(Stage stage) {
  switch (stage) {
    case Stage::kAttnQ:
    case Stage::kAttnK:
    case Stage::kAttnV:
      return Stage::kAttnNorm;
    case Stage::kAttnOut:
      return Stage::kAttnContext;
    case Stage::kMlpGate:
    case Stage::kMlpUp:
      return Stage::kMlpNorm;
    case Stage::kMlpDown:
      return Stage::kMlpAct;
    case Stage::kLogits:
      return Stage::kFinalNorm;
    default:
      return std::nullopt;
  }
}

}  // namespace

absl::Status BoundedShadow::BeginStep(const engine::Step& step) {
  first_position_ = step.first_position;
  return absl::OkStatus();
}

absl::Status BoundedShadow::Observe(Stage stage, int32_t layer,
                                    const engine::MutableTensorView& value) {
  for (int64_t row = 0; row < value.rows; ++row) {
    const int32_t position = first_position_ + static_cast<int32_t>(row);
    const std::vector<float>* recorded = recording_.Find(stage, layer, position);
    const absl::Span<float> values = value.values.subspan(row * value.width, value.width);
    if (recorded == nullptr || recorded->size() != values.size()) {
      return absl::InternalError("not recorded");
    }
    const double nmse = Nmse(*recorded, values);
    const double bound = Bound(stage, layer, position);
    if (nmse > bound && ++beyond_bound_ <= kMostShown) {
      ADD_FAILURE() << checkpoint::ToString({stage, layer}) << " position " << position << ": NMSE "
                    << nmse << " above " << bound;
    }
    if (nmse > worst_) {
      worst_ = nmse;
      worst_site_ = checkpoint::ToString({stage, layer});
    }
    ++measured_;
    beyond_goal_ += nmse > kGoal;
    std::copy(recorded->begin(), recorded->end(), values.begin());
  }
  return absl::OkStatus();
}

std::string BoundedShadow::Summary() const {
  return absl::StrFormat(
      "worst NMSE of any op: %.2e (%s), %d of %d above %.0e, %d beyond their bound", worst_,
      worst_site_, beyond_goal_, measured_, kGoal, beyond_bound_);
}

double BoundedShadow::Bound(Stage stage, int32_t layer, int32_t position) const {
  if (numerics_ == Numerics::kF32) return kMostF32;
  const std::optional<Stage> input = InputOf(stage);
  if (stage == Stage::kAttnContext) return most_context_;
  if (!input.has_value()) return kMostNative;
  const std::vector<float>* x = recording_.Find(*input, layer, position);
  return kMostNative + (x != nullptr ? kChance * Int8Term(*x) : 0);
}

}  // namespace parity::testing
