// A shadow run in memory over the cpu engine's f32 capture, each value within what the cuda
// engine's numerics explain.
#ifndef PARITY_TESTS_GPU_BOUNDED_SHADOW_H_
#define PARITY_TESTS_GPU_BOUNDED_SHADOW_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "kernels/dtype.h"
#include "worker/engine/observer.h"
#include "worker/engine/recorder.h"

namespace parity::testing {

// Keys rounded to half move a score by 2^-12 of itself, and so a probability by that share: a
// largest score of s leaves (s 2^-12)^2 as NMSE of attn.context. Small models' scores reach 13; in
// f32 captures of 25 positions SmolLM2's reach 38.5 and Gemma 3's 31.7.
inline constexpr double kSmallModelContext = 1e-5;
inline constexpr double kRealModelContext = 1e-4;

// Measures each value against the recording, fails the test where it is beyond its bound,
// then replaces it. Threading: one session. The recording must outlive it.
class BoundedShadow : public engine::Observer {
 public:
  // most_context bounds attn.context in native numerics.
  BoundedShadow(const engine::Recording& recording, kernels::Numerics numerics, double most_context)
      : recording_(recording), numerics_(numerics), most_context_(most_context) {}

  bool Wants(engine::Stage stage, int32_t layer) const override { return true; }
  bool Substitutes() const override { return true; }
  absl::Status BeginStep(const engine::Step& step) override;
  absl::Status Observe(engine::Stage stage, int32_t layer,
                       const engine::MutableTensorView& value) override;
  absl::Status EndStep() override { return absl::OkStatus(); }

  int64_t measured() const { return measured_; }
  // "worst NMSE of any op: ...", one line.
  std::string Summary() const;

 private:
  double Bound(engine::Stage stage, int32_t layer, int32_t position) const;

  const engine::Recording& recording_;
  const kernels::Numerics numerics_;
  const double most_context_;
  int32_t first_position_ = 0;
  int64_t measured_ = 0;
  int64_t beyond_goal_ = 0;
  int64_t beyond_bound_ = 0;
  double worst_ = 0;
  std::string worst_site_;
};

}  // namespace parity::testing

#endif  // PARITY_TESTS_GPU_BOUNDED_SHADOW_H_
