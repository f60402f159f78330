// Pairs the tensors of two captures by position and checkpoint.
#ifndef PARITY_COLLECTOR_COMPARE_ALIGNMENT_H_
#define PARITY_COLLECTOR_COMPARE_ALIGNMENT_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "collector/store/capture_reader.h"
#include "parity/v1/collector.pb.h"

namespace parity::compare {

// What is to be paired, known before any row is read.
struct AlignmentPlan {
  std::vector<std::string> names;        // checkpoints of both sides, in forward order
  std::vector<int32_t> reference_names;  // a reader's checkpoints() -> names
  std::vector<int32_t> candidate_names;
  store::RowFilter reference_filter;  // what the request selects, the same positions of both
  store::RowFilter candidate_filter;
};

struct AlignedRow {
  int32_t position = 0;
  int32_t checkpoint = 0;  // index into AlignmentPlan::names
  int32_t reference = -1;  // index into Alignment::reference; -1: the reference has none
  int32_t candidate = -1;
};

struct PositionRange {
  int32_t first = 0;
  int32_t last = 0;  // inclusive
};

// The pairs of some positions.
struct Alignment {
  std::vector<store::TensorRow> reference;
  std::vector<store::TensorRow> candidate;
  std::vector<AlignedRow> rows;  // by position, then forward order
};

// The rows of one capture that the request's positions and globs select (store::SelectRows).
absl::StatusOr<store::RowFilter> SelectRows(const store::CaptureReader& reader,
                                            const v1::CompareRequest& request);

// INVALID_ARGUMENT as SelectRows.
absl::StatusOr<AlignmentPlan> PlanAlignment(const store::CaptureReader& reference,
                                            const store::CaptureReader& candidate,
                                            const v1::CompareRequest& request);

// Pairs the rows at these positions: every tensor of either side gives one row. Their flags are
// known when the candidate is a shadow, shapes then and when sizes of a pair differ. The readers
// may be others of the plan's captures. `aligned`'s memory is used again.
absl::Status AlignPositions(const AlignmentPlan& plan, PositionRange positions,
                            store::CaptureReader& reference, store::CaptureReader& candidate,
                            Alignment* aligned);

}  // namespace parity::compare

#endif  // PARITY_COLLECTOR_COMPARE_ALIGNMENT_H_
