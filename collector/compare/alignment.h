// Pairs the tensors of two captures by position and checkpoint.
#ifndef PARITY_COLLECTOR_COMPARE_ALIGNMENT_H_
#define PARITY_COLLECTOR_COMPARE_ALIGNMENT_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "collector/store/capture_reader.h"
#include "parity/v1/collector.pb.h"

namespace parity::compare {

struct AlignedRow {
  int32_t position = 0;
  int32_t checkpoint = 0;  // index into Alignment::names
  int32_t reference = -1;  // index into Alignment::reference; -1: the reference has none
  int32_t candidate = -1;
};

struct Alignment {
  std::vector<std::string> names;  // of both sides, in forward order
  std::vector<store::TensorRow> reference;
  std::vector<store::TensorRow> candidate;
  std::vector<AlignedRow> rows;  // by position, then forward order
};

// The rows of one capture that the request's positions and globs select (store::SelectRows).
absl::StatusOr<store::RowFilter> SelectRows(const store::CaptureReader& reader,
                                            const v1::CompareRequest& request);

// Flags are read when the candidate is a shadow, shapes then and when sizes of a pair differ.
// Every tensor of either side inside the request's positions and globs gives one row.
// INVALID_ARGUMENT as SelectRows.
absl::StatusOr<Alignment> Align(store::CaptureReader& reference, store::CaptureReader& candidate,
                                const v1::CompareRequest& request);

}  // namespace parity::compare

#endif  // PARITY_COLLECTOR_COMPARE_ALIGNMENT_H_
