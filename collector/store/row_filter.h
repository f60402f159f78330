// Which rows of a capture a request asks for, and how much of each is read.
#ifndef PARITY_COLLECTOR_STORE_ROW_FILTER_H_
#define PARITY_COLLECTOR_STORE_ROW_FILTER_H_

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "google/protobuf/repeated_ptr_field.h"

namespace parity::store {

struct CheckpointInfo {
  std::string name;
  int32_t layer = -1;  // -1 outside the layer stack
  std::string stage;
  int64_t ordinal = 0;  // forward order
};

struct RowFilter {
  int32_t first_position = 0;
  int32_t last_position = std::numeric_limits<int32_t>::max();  // inclusive
  std::vector<bool> checkpoints;  // by index into CaptureReader::checkpoints(); empty: all
  // What is read of a row: less is quicker.
  enum class Columns { kPlace, kShape, kAll };
  Columns columns = Columns::kAll;
};

// The filter of a request whose globs (none: all) select among a reader's checkpoints.
// INVALID_ARGUMENT unless 0 <= first <= last, at most 1024 globs and 256 bytes each (a checkpoint
// name has at most 128).
absl::StatusOr<RowFilter> SelectRows(const std::vector<CheckpointInfo>& checkpoints,
                                     int32_t first_position, int32_t last_position,
                                     const google::protobuf::RepeatedPtrField<std::string>& globs);

}  // namespace parity::store

#endif  // PARITY_COLLECTOR_STORE_ROW_FILTER_H_
