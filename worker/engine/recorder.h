// An observer for tests: keeps every wanted value in memory.
#ifndef PARITY_WORKER_ENGINE_RECORDER_H_
#define PARITY_WORKER_ENGINE_RECORDER_H_

#include <cstdint>
#include <functional>
#include <map>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "worker/engine/observer.h"

namespace parity::engine {

// Values of one capture: by site in forward order, then by position.
struct Recording {
  using Site = std::pair<int32_t, Stage>;  // layer, stage
  struct SiteLess {
    bool operator()(const Site& a, const Site& b) const {
      return checkpoint::Ordinal({a.second, a.first}) < checkpoint::Ordinal({b.second, b.first});
    }
  };
  std::map<Site, std::vector<std::vector<float>>, SiteLess> values;
  std::map<Site, int32_t, SiteLess> heads;

  // Null when the site or the position was not recorded.
  const std::vector<float>* Find(Stage stage, int32_t layer, int32_t position) const {
    const auto site = values.find({layer, stage});
    if (site == values.end() || position >= static_cast<int32_t>(site->second.size()) ||
        site->second[position].empty()) {
      return nullptr;
    }
    return &site->second[position];
  }
};

// Threading: one session. A checkpoint observed twice at a position is an ALREADY_EXISTS error.
class Recorder : public Observer {
 public:
  using Filter = std::function<bool(Stage, int32_t)>;

  explicit Recorder(Filter wants = [](Stage, int32_t) { return true; })
      : wants_(std::move(wants)) {}

  bool Wants(Stage stage, int32_t layer) const override {
    ++asked_;
    return wants_(stage, layer);
  }

  absl::Status BeginStep(const Step& step) override {
    first_position_ = step.first_position;
    asked_ = 0;
    ++begun_;
    return absl::OkStatus();
  }

  absl::Status Observe(Stage stage, int32_t layer, const MutableTensorView& value) override {
    auto& positions = recording_.values[{layer, stage}];
    recording_.heads[{layer, stage}] = value.heads;
    for (int64_t row = 0; row < value.rows; ++row) {
      const size_t position = static_cast<size_t>(first_position_ + row);
      if (positions.size() <= position) positions.resize(position + 1);
      if (!positions[position].empty()) return absl::AlreadyExistsError("observed twice");
      const auto values = value.values.subspan(row * value.width, value.width);
      positions[position].assign(values.begin(), values.end());
    }
    return absl::OkStatus();
  }

  absl::Status EndStep() override {
    ++ended_;
    return absl::OkStatus();
  }

  const Recording& recording() const { return recording_; }
  Recording Take() { return std::move(recording_); }
  int asked() const { return asked_; }  // Wants() calls of the last step
  int begun() const { return begun_; }
  int ended() const { return ended_; }

 private:
  const Filter wants_;
  Recording recording_;
  int32_t first_position_ = 0;
  mutable int asked_ = 0;
  int begun_ = 0;
  int ended_ = 0;
};

}  // namespace parity::engine

#endif  // PARITY_WORKER_ENGINE_RECORDER_H_
