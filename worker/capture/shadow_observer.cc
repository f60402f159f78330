#include "worker/capture/shadow_observer.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "proto/status/status_macros.h"
#include "proto/tensor/values.h"

namespace parity::capture {
namespace {

int64_t StoredElements(const v1::Tensor& tensor) {
  return static_cast<int64_t>(tensor.data().size()) / tensor::ElementBytes(tensor.dtype());
}

int64_t TotalElements(const v1::Tensor& tensor) {
  return tensor.total_elements() > 0 ? tensor.total_elements() : StoredElements(tensor);
}

}  // namespace

ShadowObserver::ShadowObserver(std::string followed, Selection record, ShadowSource& source,
                               std::vector<FrameSink*> sinks)
    : Recorder(std::move(sinks)),
      followed_(std::move(followed)),
      record_(std::move(record)),
      source_(source) {}

absl::Status ShadowObserver::Prepare(int32_t first_position, int64_t rows,
                                     const std::atomic<bool>& stop) {
  first_position_ = first_position;
  tokens_.clear();
  tokens_.resize(rows);
  wanted_.clear();
  const int64_t end = first_position + rows;
  while (!ended_) {
    if (!ahead_.has_value()) {
      ASSIGN_OR_RETURN(ahead_, source_.Next(stop));
      ended_ = !ahead_.has_value();
      if (ended_) break;
    }
    if (ahead_->position() >= end) break;
    v1::Frame frame = *std::move(ahead_);
    ahead_.reset();
    if (frame.position() >= first_position) RETURN_IF_ERROR(Accept(std::move(frame)));
  }
  return absl::OkStatus();
}

absl::Status ShadowObserver::Accept(v1::Frame frame) {
  RecordedToken& token = tokens_[frame.position() - first_position_];
  token.frames.push_back(std::move(frame));
  const v1::Frame& kept = token.frames.back();
  for (const v1::Tensor& tensor : kept.tensors()) {
    const auto name = checkpoint::Parse(tensor.checkpoint());
    // Far beyond any model: a hostile name must not size a table. (1024 layers:
    // facts/hostile_input.)
    if (!name.has_value() || name->layer >= 1024) {
      ++counts_.unknown;
      continue;
    }
    if (absl::Status status = tensor::Validate(tensor); !status.ok()) {
      return absl::DataLossError(
          absl::StrCat(followed_, " at position ", kept.position(), ": ", status.message()));
    }
    const size_t site = SiteIndex(name->stage, name->layer);
    if (token.by_site.size() <= site) token.by_site.resize(site + 1, nullptr);
    token.by_site[site] = &tensor;
    if (wanted_.size() <= site) wanted_.resize(site + 1, false);
    wanted_[site] = true;
  }
  return absl::OkStatus();
}

bool ShadowObserver::Wants(engine::Stage stage, int32_t layer) const {
  const size_t site = SiteIndex(stage, layer);
  return site < wanted_.size() && wanted_[site];
}

const v1::Tensor* ShadowObserver::Find(int32_t position, size_t site) const {
  const int64_t token = int64_t{position} - first_position_;
  if (token < 0 || token >= static_cast<int64_t>(tokens_.size())) return nullptr;
  const auto& by_site = tokens_[token].by_site;
  return site < by_site.size() ? by_site[site] : nullptr;
}

absl::Status ShadowObserver::Observe(engine::Stage stage, int32_t layer,
                                     const engine::MutableTensorView& value) {
  for (int64_t row = 0; row < value.rows; ++row) {
    RETURN_IF_ERROR(ObserveRow({stage, layer}, StepRow(value, row),
                               value.values.subspan(row * value.width, value.width), value.heads));
  }
  return absl::OkStatus();
}

absl::Status ShadowObserver::ObserveRow(checkpoint::Name name, int64_t row,
                                        absl::Span<float> values, int32_t heads) {
  const v1::Tensor* recorded = Find(frames_.position(row), SiteIndex(name.stage, name.layer));
  if (recorded == nullptr) {
    ++counts_.missing;
    return absl::OkStatus();
  }
  const int64_t width = static_cast<int64_t>(values.size());
  if (TotalElements(*recorded) != width) {
    const std::string expected = heads > 0 ? absl::StrCat("[", heads, ",", width / heads, "]")
                                           : absl::StrCat("[", width, "]");
    return absl::FailedPreconditionError(
        absl::StrCat("shadow of ", followed_, ": ", checkpoint::ToString(name), " at position ",
                     frames_.position(row), " has shape ", tensor::ShapeToString(recorded->shape()),
                     ", this model computes ", expected));
  }
  const bool truncated = StoredElements(*recorded) != width;
  if (record_.Wants(name.stage, name.layer)) {
    frames_.Add(name, row, values, heads, record_.max_elements(), truncated);
  }
  if (truncated) {
    ++counts_.truncated;
    return absl::OkStatus();
  }
  tensor::DecodeTo(recorded->dtype(), recorded->data(), values.data());
  ++counts_.substituted;
  return absl::OkStatus();
}

}  // namespace parity::capture
