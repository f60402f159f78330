// Compares a candidate capture with a reference capture: identity gate, alignment, metrics,
// verdicts.
#ifndef PARITY_COLLECTOR_COMPARE_COMPARISON_H_
#define PARITY_COLLECTOR_COMPARE_COMPARISON_H_

#include <functional>

#include "absl/status/status.h"
#include "collector/store/capture_store.h"
#include "parity/v1/collector.pb.h"

namespace parity::compare {

// Receives rows by rising position, within a position in forward order. Called on the caller's
// thread. A status that is not OK ends the comparison and is returned.
using RowCallback = std::function<absl::Status(const v1::ComparisonRow&)>;

struct CompareOptions {
  // Threads that read and compute, each with its own connections. 0: one a core.
  int threads = 0;
};

// Compares as `request` says. Every tensor of either side inside the request's globs and positions
// gives one row. `summary` is filled when the status is OK; with request.store() the result is in
// the store by then. Rows and summary depend on the two captures and the request only, not on the
// threads. Errors: NOT_FOUND (run, team), INVALID_ARGUMENT (profile, positions),
// FAILED_PRECONDITION (request.store() on a read-only store), DATA_LOSS (the store fails).
absl::Status CompareCaptures(store::CaptureStore& store, const v1::CompareRequest& request,
                             const RowCallback& on_row, v1::ComparisonSummary* summary,
                             CompareOptions options = {});

}  // namespace parity::compare

#endif  // PARITY_COLLECTOR_COMPARE_COMPARISON_H_
