// Tensors and token records on their way into the store: one batch becomes one blob row and its
// tensor rows.
#ifndef PARITY_COLLECTOR_STORE_TENSOR_BATCH_H_
#define PARITY_COLLECTOR_STORE_TENSOR_BATCH_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "collector/store/statistics.h"
#include "parity/v1/checkpoint.pb.h"

namespace parity::store {

// What is known of one tensor apart from its bytes.
struct TensorRecord {
  int32_t position = 0;
  std::string checkpoint;
  v1::DType dtype = v1::DTYPE_UNSPECIFIED;
  std::string shape;            // "[9,64]"
  int64_t elements = 0;         // of the whole tensor
  int64_t stored_elements = 0;  // of which so many are in the blob
  uint64_t checksum = 0;        // XXH3-64 of the stored bytes
  Statistics statistics;
  int64_t offset = 0;  // in the batch's blob
  int64_t bytes = 0;
  bool not_substituted = false;
};

// What is known of one token. Absent means "says nothing", and never overwrites what is stored.
struct BatchToken {
  int32_t position = 0;
  int32_t input_token_id = -1;  // -1: not known
  v1::Phase phase = v1::PHASE_UNSPECIFIED;
  std::optional<int32_t> chosen_token_id;
  std::string chosen_text;
};

// Collects tensors of one capture, of one position or of many. 64 KiB to 1 MiB of data a batch is
// what SQLite stores fastest. Not thread-safe; movable.
class TensorBatch {
 public:
  // Computes the statistics and appends the bytes.
  // REQUIRES: tensor::Validate(tensor) is OK and `position` >= 0.
  void AddTensor(int32_t position, const v1::Tensor& tensor);

  // A token of a position; adding the same position again merges.
  void AddToken(BatchToken token);

  // AddToken of the frame's own fields, without its tensors.
  void AddTokenOf(const v1::Frame& frame);

  // Makes room for so many bytes of data at once.
  void Reserve(int64_t bytes) { blob_.reserve(bytes); }

  bool empty() const { return tensors_.empty() && tokens_.empty(); }
  int64_t bytes() const { return static_cast<int64_t>(blob_.size()); }
  const std::string& blob() const { return blob_; }
  const std::vector<TensorRecord>& tensors() const { return tensors_; }
  const std::vector<BatchToken>& tokens() const { return tokens_; }

 private:
  std::string blob_;
  std::vector<TensorRecord> tensors_;
  std::vector<BatchToken> tokens_;
};

}  // namespace parity::store

#endif  // PARITY_COLLECTOR_STORE_TENSOR_BATCH_H_
