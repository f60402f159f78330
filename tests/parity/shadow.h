// A shadow run in memory: every value the engine computes is measured against a recording, then
// replaced by it.
#ifndef PARITY_TESTS_PARITY_SHADOW_H_
#define PARITY_TESTS_PARITY_SHADOW_H_

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "worker/engine/observer.h"
#include "worker/engine/recorder.h"
#include "worker/model/model_config.h"

namespace parity::testing {

using checkpoint::Stage;

// Worst local error of one site over all positions.
struct SiteError {
  Stage stage;
  int32_t layer;
  double nmse = 0;  // worst of all positions, and where
  int32_t position = 0;
  double unexplained =
      0;  // attn.context: what flipped probabilities do not explain (flip_bound.h); else nmse
  std::string Name() const { return checkpoint::ToString({stage, layer}); }
};

// What a shadow run found.
struct ShadowFindings {
  std::vector<SiteError> sites;  // in forward order
  int64_t measured = 0;          // values (site, position) that both sides have
  int64_t unmeasured = 0;        // values the recording lacks

  // Sites whose unexplained error is above kShadowFloor, in forward order.
  std::vector<SiteError> AboveFloor() const;
  // A line a stage: the worst error of any layer and position.
  std::string Table() const;
};

// The most that the order of float sums explains of one op, as NMSE. Both sides compute it from the
// same inputs, each float addition is off by 2^-24 of its result: NMSE of 1e-14 to 4e-12 where
// terms cancel; this leaves 25 times that.
inline constexpr double kShadowFloor = 1e-10;
// The most that a single flipped probability explains of attn.context where no terms cancel: it
// moves by one spacing of the halves, at most 2^-10 of itself, so NMSE is at most 2^-20.
inline constexpr double kContextFlipFloor = 0x1p-20;

// Threading: one session. Recording and config must outlive the observer.
class ShadowObserver : public engine::Observer {
 public:
  // What `wants` refuses is neither measured nor replaced.
  ShadowObserver(
      const engine::Recording& recording, const model::ModelConfig& config,
      engine::Recorder::Filter wants = [](Stage, int32_t) { return true; })
      : recording_(recording), config_(config), wants_(std::move(wants)) {}

  bool Wants(Stage stage, int32_t layer) const override { return wants_(stage, layer); }
  bool Substitutes() const override { return true; }
  absl::Status BeginStep(const engine::Step& step) override;
  absl::Status Observe(Stage stage, int32_t layer, const engine::MutableTensorView& value) override;
  absl::Status EndStep() override { return absl::OkStatus(); }

  ShadowFindings Findings() const;

 private:
  void Measure(const std::vector<float>& recorded, absl::Span<const float> values, int32_t position,
               SiteError& worst) const;

  const engine::Recording& recording_;
  const model::ModelConfig& config_;
  const engine::Recorder::Filter wants_;
  int32_t first_position_ = 0;
  std::map<engine::Recording::Site, SiteError, engine::Recording::SiteLess> sites_;
  int64_t measured_ = 0;
  int64_t unmeasured_ = 0;
};

}  // namespace parity::testing

#endif  // PARITY_TESTS_PARITY_SHADOW_H_
