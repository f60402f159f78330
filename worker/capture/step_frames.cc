#include "worker/capture/step_frames.h"

#include <algorithm>
#include <utility>

#include "proto/tensor/values.h"

namespace parity::capture {

void StepFrames::Begin(const engine::Step& step) {
  first_position_ = step.first_position;
  ids_.assign(step.ids.begin(), step.ids.end());
  prefill_ = step.prefill;
  entries_.clear();
  entries_.resize(ids_.size());
}

void StepFrames::Add(checkpoint::Name name, int64_t row, absl::Span<const float> values,
                     int32_t heads, int64_t max_elements, bool not_substituted) {
  Entry entry;
  entry.ordinal = checkpoint::Ordinal(name);
  v1::Tensor& tensor = entry.tensor;
  const int64_t total = static_cast<int64_t>(values.size());
  const int64_t kept = max_elements > 0 ? std::min(max_elements, total) : total;
  tensor.set_checkpoint(checkpoint::ToString(name));
  tensor.set_dtype(v1::DTYPE_F32);
  if (heads > 0) {
    tensor.add_shape(heads);
    tensor.add_shape(total / heads);
  } else {
    tensor.add_shape(total);
  }
  tensor.set_data(values.data(), static_cast<size_t>(kept) * sizeof(float));
  tensor.set_total_elements(total);
  tensor.set_xxh3(tensor::Checksum(tensor.data()));
  tensor.set_not_substituted(not_substituted);
  entries_[row].push_back(std::move(entry));
}

v1::Frame StepFrames::Empty(int64_t row) const {
  v1::Frame frame;
  frame.set_position(position(row));
  frame.set_input_token_id(ids_[row]);
  frame.set_phase(prefill_ ? v1::PHASE_PREFILL : v1::PHASE_DECODE);
  return frame;
}

std::vector<v1::Frame> StepFrames::Take() {
  std::vector<v1::Frame> frames;
  for (int64_t row = 0; row < rows(); ++row) {
    std::vector<Entry>& entries = entries_[row];
    // libllama observes in its graph's order, not in ours.
    std::stable_sort(entries.begin(), entries.end(),
                     [](const Entry& a, const Entry& b) { return a.ordinal < b.ordinal; });
    frames.push_back(Empty(row));
    int64_t bytes = 0;
    for (Entry& entry : entries) {
      const int64_t size = static_cast<int64_t>(entry.tensor.data().size());
      if (bytes > 0 && bytes + size > kFrameBytes) {
        frames.push_back(Empty(row));
        bytes = 0;
      }
      bytes += size;
      *frames.back().add_tensors() = std::move(entry.tensor);
    }
    entries.clear();
  }
  return frames;
}

v1::Frame StepFrames::Chosen(int32_t id, std::string text) const {
  v1::Frame frame = Empty(rows() - 1);
  frame.set_chosen_token_id(id);
  frame.set_chosen_text(std::move(text));
  return frame;
}

}  // namespace parity::capture
