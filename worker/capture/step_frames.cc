#include "worker/capture/step_frames.h"

#include <algorithm>
#include <utility>

#include "worker/capture/capture_spec.h"

namespace parity::capture {

void StepFrames::Begin(const engine::Step& step) {
  first_position_ = step.first_position;
  ids_.assign(step.ids.begin(), step.ids.end());
  prefill_ = step.prefill;
  entries_.resize(ids_.size());
  for (std::vector<Entry>& entries : entries_) entries.clear();
  if (step_blocks_.size() > 1) step_blocks_.erase(step_blocks_.begin(), step_blocks_.end() - 1);
}

char* StepFrames::Room(int64_t bytes) {
  if (step_blocks_.empty() || used_ + bytes > capacity_) {
    capacity_ = std::max(bytes, BlockPool::kBlockBytes);
    step_blocks_.push_back(blocks_->Take(capacity_));
    used_ = 0;
  }
  return step_blocks_.back().get() + used_;
}

absl::string_view StepFrames::LabelOf(checkpoint::Name name) {
  const size_t site = SiteIndex(name.stage, name.layer);
  if (labels_.size() <= site) labels_.resize(site + 1);
  if (labels_[site].empty()) labels_[site] = checkpoint::ToString(name);
  return labels_[site];
}

void StepFrames::Add(checkpoint::Name name, int64_t row, absl::Span<const float> values,
                     int32_t heads, int64_t max_elements, bool not_substituted) {
  const int64_t total = static_cast<int64_t>(values.size());
  const int64_t kept = max_elements > 0 ? std::min(max_elements, total) : total;
  const TensorHeader header = {LabelOf(name), heads, total, not_substituted};
  char* const begin = Room(EncodedBytes(header, kept));
  char* const end = EncodeTensor(header, values.first(kept), begin);
  Use(end);
  entries_[row].push_back({checkpoint::Ordinal(name), begin, end - begin, step_blocks_.size() - 1,
                           kept * static_cast<int64_t>(sizeof(float))});
}

v1::Frame StepFrames::Empty(int64_t row) const {
  v1::Frame frame;
  frame.set_position(position(row));
  frame.set_input_token_id(ids_[row]);
  frame.set_phase(prefill_ ? v1::PHASE_PREFILL : v1::PHASE_DECODE);
  return frame;
}

std::shared_ptr<WireFrame> StepFrames::NewFrame(int64_t row) {
  const v1::Frame empty = Empty(row);
  const int64_t bytes = static_cast<int64_t>(empty.ByteSizeLong());
  char* const begin = Room(bytes);
  empty.SerializeToArray(begin, static_cast<int>(bytes));
  Use(begin + bytes);
  auto frame = std::make_shared<WireFrame>();
  frame->Append({begin, static_cast<size_t>(bytes)}, 0, step_blocks_.back());
  return frame;
}

std::vector<WireFramePtr> StepFrames::Take() {
  std::vector<WireFramePtr> frames;
  for (int64_t row = 0; row < rows(); ++row) {
    std::vector<Entry>& entries = entries_[row];
    const auto by_ordinal = [](const Entry& a, const Entry& b) { return a.ordinal < b.ordinal; };
    // libllama observes in its graph's order, not in ours.
    if (!std::is_sorted(entries.begin(), entries.end(), by_ordinal)) {
      std::stable_sort(entries.begin(), entries.end(), by_ordinal);
    }
    std::shared_ptr<WireFrame> frame = NewFrame(row);
    int64_t bytes = 0;
    for (const Entry& entry : entries) {
      if (bytes > 0 && bytes + entry.data_bytes > kFrameBytes) {
        frames.push_back(std::move(frame));
        frame = NewFrame(row);
        bytes = 0;
      }
      bytes += entry.data_bytes;
      frame->Append({entry.data, static_cast<size_t>(entry.size)}, 1, step_blocks_[entry.block]);
    }
    frames.push_back(std::move(frame));
    entries.clear();
  }
  PublishTensors();
  return frames;
}

WireFramePtr StepFrames::Chosen(int32_t id, std::string text) const {
  v1::Frame frame = Empty(rows() - 1);
  frame.set_chosen_token_id(id);
  frame.set_chosen_text(std::move(text));
  return WireFrame::From(frame);
}

}  // namespace parity::capture
