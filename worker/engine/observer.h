// Receives named intermediate tensors while an engine computes them.
#ifndef PARITY_WORKER_ENGINE_OBSERVER_H_
#define PARITY_WORKER_ENGINE_OBSERVER_H_

#include <cstdint>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "proto/checkpoint/name.h"

namespace parity::engine {

using checkpoint::Stage;

// What a forward step feeds: token ids[t] at absolute position first_position + t.
struct Step {
  int32_t first_position;
  absl::Span<const int32_t> ids;
  bool prefill;
};

// Values of one checkpoint for the rows of the step: [rows, width] row-major; row t is position
// first_position + t. heads > 0 says that width = heads * (width / heads) and the wire shape is
// [heads, width / heads].
struct MutableTensorView {
  absl::Span<float> values;
  int64_t rows;
  int64_t width;
  int32_t heads;  // 0: a plain vector per token
};

// Threading: called during its session's Forward only, one call at a time, but from whichever
// thread computes the step; EndStep on the session's own. BeginStep, then Observe in forward order
// (libllama: in its graph's order), then EndStep, as often as there are steps in a Forward. One
// observer belongs to one session.
class Observer {
 public:
  virtual ~Observer() = default;

  // Returns whether Observe() is wanted. Called once per site, layer and step; must not block.
  // layer is -1 outside the layer stack.
  virtual bool Wants(Stage stage, int32_t layer) const = 0;

  // Whether Observe() may overwrite values (a shadow run). Constant.
  virtual bool Substitutes() const { return false; }

  // A non-OK status stops the step and is returned from Forward().
  virtual absl::Status BeginStep(const Step& step) = 0;

  // `value` is valid only during the call. When Substitutes(), it may be overwritten: the next op
  // reads what is left. REQUIRES: Wants(stage, layer) returned true.
  virtual absl::Status Observe(Stage stage, int32_t layer, const MutableTensorView& value) = 0;

  // All of the step's checkpoints have been observed.
  virtual absl::Status EndStep() = 0;
};

}  // namespace parity::engine

#endif  // PARITY_WORKER_ENGINE_OBSERVER_H_
