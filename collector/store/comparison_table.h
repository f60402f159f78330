// The rows of comparisons and diffs.
#ifndef PARITY_COLLECTOR_STORE_COMPARISON_TABLE_H_
#define PARITY_COLLECTOR_STORE_COMPARISON_TABLE_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "collector/store/batch_inserter.h"
#include "collector/store/database.h"
#include "parity/v1/collector.pb.h"

namespace parity::store {

struct ComparisonKey {
  int64_t reference_capture_id = 0;
  int64_t candidate_capture_id = 0;
};

// Replaces an earlier comparison of the same pair and profile. Returns the new id. REQUIRES: inside
// a transaction.
absl::StatusOr<int64_t> InsertComparison(Database& database, BatchInserter& inserter,
                                         const ComparisonKey& key,
                                         const v1::ComparisonSummary& summary,
                                         absl::Span<const v1::ComparisonRow> rows);

}  // namespace parity::store

#endif  // PARITY_COLLECTOR_STORE_COMPARISON_TABLE_H_
