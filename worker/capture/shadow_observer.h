// Feeds every op what another team recorded, and records what our engine computed from it.
#ifndef PARITY_WORKER_CAPTURE_SHADOW_OBSERVER_H_
#define PARITY_WORKER_CAPTURE_SHADOW_OBSERVER_H_

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "worker/capture/capture_observer.h"
#include "worker/capture/capture_spec.h"
#include "worker/capture/frame_sink.h"
#include "worker/engine/observer.h"

namespace parity::capture {

// For each checkpoint that the followed capture recorded at a position: our own value is recorded
// (if the selection wants it), then overwritten by theirs. What they lack is left alone, so the
// next row's error is that of the whole stretch.
class ShadowObserver : public Recorder {
 public:
  // Exact tallies, for the summary. In tensors.
  struct Counts {
    int64_t substituted = 0;
    int64_t truncated = 0;  // recorded as a prefix only: compared there, not substituted
    int64_t missing = 0;    // wanted by a neighbour in the step, not recorded at this position
    int64_t unknown = 0;    // recorded under names that no checkpoint of ours has
  };

  // `followed` is "RUN/TEAM", for errors. Source and sinks must outlive the observer.
  ShadowObserver(std::string followed, Selection record, ShadowSource& source,
                 std::vector<FrameSink*> sinks);

  // Reads the recorded frames of the positions that the next steps feed. Errors: those of the
  // source; DATA_LOSS when a recorded tensor is damaged (checksum, type, size).
  absl::Status Prepare(int32_t first_position, int64_t rows,
                       const std::atomic<bool>& stop) override;

  bool Wants(engine::Stage stage, int32_t layer) const override;
  bool Substitutes() const override { return true; }
  // FAILED_PRECONDITION naming checkpoint, position, shape found and expected.
  absl::Status Observe(engine::Stage stage, int32_t layer,
                       const engine::MutableTensorView& value) override;

  const Counts& counts() const { return counts_; }

 private:
  struct RecordedToken {
    std::deque<v1::Frame> frames;            // own the tensors
    std::vector<const v1::Tensor*> by_site;  // SiteIndex; null or past the end: not recorded
  };
  absl::Status Accept(v1::Frame frame);
  const v1::Tensor* Find(int32_t position, size_t site) const;
  absl::Status ObserveRow(checkpoint::Name name, int64_t row, absl::Span<float> values,
                          int32_t heads);

  const std::string followed_;
  const Selection record_;
  ShadowSource& source_;
  int32_t first_position_ = 0;
  std::vector<RecordedToken> tokens_;  // prepared, from first_position_ on
  std::vector<bool> wanted_;           // SiteIndex; recorded at any prepared position
  std::optional<v1::Frame> ahead_;     // read, of a later position
  bool ended_ = false;
  Counts counts_;
};

}  // namespace parity::capture

#endif  // PARITY_WORKER_CAPTURE_SHADOW_OBSERVER_H_
