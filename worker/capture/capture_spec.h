// Which checkpoints of a model a capture holds.
#ifndef PARITY_WORKER_CAPTURE_CAPTURE_SPEC_H_
#define PARITY_WORKER_CAPTURE_CAPTURE_SPEC_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "parity/v1/worker.pb.h"
#include "proto/checkpoint/name.h"
#include "worker/engine/engine.h"

namespace parity::capture {

// Place of a site in a table over all sites of a model: layer -1 first, stages in forward order.
inline size_t SiteIndex(checkpoint::Stage stage, int32_t layer) {
  return static_cast<size_t>(layer + 1) * checkpoint::kStageCount + static_cast<size_t>(stage);
}

// The checkpoints a spec selects in one model. A value; immutable after Select().
class Selection {
 public:
  Selection() = default;  // selects nothing

  // Errors: INVALID_ARGUMENT naming an unknown level, every glob that matches no checkpoint of the
  // model, a negative max_elements, or a spec that says neither level nor globs (or both).
  static absl::StatusOr<Selection> Select(const v1::CaptureSpec& spec,
                                          absl::Span<const checkpoint::Name> model_names);

  bool Wants(checkpoint::Stage stage, int32_t layer) const {
    const size_t index = SiteIndex(stage, layer);
    return index < wanted_.size() && wanted_[index];
  }
  const std::vector<checkpoint::Name>& names() const { return names_; }  // forward order
  int64_t max_elements() const { return max_elements_; }                 // 0: all
  const std::string& label() const { return label_; }  // "layers", "layer.*.out,logits"

 private:
  std::vector<checkpoint::Name> names_;
  std::vector<bool> wanted_;
  int64_t max_elements_ = 0;
  std::string label_;
};

// Elements of one token's value at a checkpoint.
int64_t ElementsOf(checkpoint::Name name, const engine::EngineInfo& info);

// Bytes that one token adds to a capture of the selection: values as F32, names and framing
// (rounded up).
int64_t BytesPerToken(const Selection& selection, const engine::EngineInfo& info);

}  // namespace parity::capture

#endif  // PARITY_WORKER_CAPTURE_CAPTURE_SPEC_H_
