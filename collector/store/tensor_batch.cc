#include "collector/store/tensor_batch.h"

#include <utility>

#include "proto/tensor/values.h"

namespace parity::store {

void TensorBatch::AddTensor(int32_t position, const v1::Tensor& tensor) {
  TensorRecord record;
  record.position = position;
  record.checkpoint = tensor.checkpoint();
  record.dtype = tensor.dtype();
  record.shape = tensor::ShapeToString(tensor.shape());
  record.bytes = static_cast<int64_t>(tensor.data().size());
  record.stored_elements = record.bytes / tensor::ElementBytes(tensor.dtype());
  record.elements = tensor.total_elements() == 0 ? record.stored_elements : tensor.total_elements();
  record.checksum = tensor.xxh3();
  record.statistics = ComputeStatistics(tensor.dtype(), tensor.data());
  record.offset = bytes();
  record.not_substituted = tensor.not_substituted();
  blob_.append(tensor.data());
  tensors_.push_back(std::move(record));
}

void TensorBatch::AddToken(BatchToken token) {
  if (!tokens_.empty() && tokens_.back().position == token.position) {
    BatchToken& last = tokens_.back();
    const bool agrees = last.input_token_id == token.input_token_id || token.input_token_id == -1 ||
                        last.input_token_id == -1;
    if (agrees) {
      if (token.input_token_id != -1) last.input_token_id = token.input_token_id;
      if (token.phase != v1::PHASE_UNSPECIFIED) last.phase = token.phase;
      if (token.chosen_token_id.has_value()) last.chosen_token_id = token.chosen_token_id;
      if (!token.chosen_text.empty()) last.chosen_text = std::move(token.chosen_text);
      return;
    }
  }
  tokens_.push_back(std::move(token));
}

void TensorBatch::AddTokenOf(const v1::Frame& frame) {
  BatchToken token;
  token.position = frame.position();
  token.input_token_id = frame.input_token_id();
  token.phase = frame.phase();
  if (frame.has_chosen_token_id()) token.chosen_token_id = frame.chosen_token_id();
  token.chosen_text = frame.chosen_text();
  AddToken(std::move(token));
}

}  // namespace parity::store
