// Turns aligned pairs of tensors into ComparisonRows: metrics, limits, verdict, reason.
#ifndef PARITY_COLLECTOR_COMPARE_ROW_MAKER_H_
#define PARITY_COLLECTOR_COMPARE_ROW_MAKER_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "collector/compare/alignment.h"
#include "collector/compare/identity_gate.h"
#include "collector/compare/pair_metrics.h"
#include "collector/compare/profile.h"
#include "collector/compare/shadow_stretch.h"
#include "collector/store/blob_reader.h"
#include "collector/store/capture_reader.h"
#include "parity/v1/collector.pb.h"

namespace parity::compare {

// What all rows of a comparison share.
struct RowContext {
  const AlignmentPlan* plan = nullptr;
  const Profile* profile = nullptr;
  const Identity* identity = nullptr;
  ShadowStretches* stretches = nullptr;  // null unless the candidate is a shadow of the reference
};

// Rows in order, each with its checkpoint (index into AlignmentPlan::names).
struct MadeRows {
  std::vector<v1::ComparisonRow> rows;
  std::vector<int32_t> checkpoints;
};

// One thread's maker. Both readers outlive it and are used by nobody else meanwhile.
class RowMaker {
 public:
  RowMaker(const RowContext& context, store::CaptureReader& reference,
           store::CaptureReader& candidate)
      : context_(context),
        reference_(reference),
        candidate_(candidate),
        reference_data_(reference.ReadAhead()),
        candidate_data_(candidate.ReadAhead()),
        limits_(context.plan->names.size()) {}

  // Reads and compares what stands at these positions. `made`'s memory is used again. Holds no read
  // transaction afterwards.
  absl::Status Make(PositionRange positions, MadeRows* made);

 private:
  absl::Status MakeRow(const AlignedRow& aligned, v1::ComparisonRow* row);
  // Why the two cannot be paired; empty when they can.
  std::string Mismatch(const AlignedRow& aligned) const;
  absl::Status Measure(const AlignedRow& aligned, v1::ComparisonRow* row);
  // Where the rows of the position that begins at rows[begin] end; their stretches are looked up.
  size_t BeginPosition(size_t begin);
  // The profile's limits, remembered: a checkpoint's place is nearly the same at every position.
  const RowLimits& LimitsAt(int32_t checkpoint, const RowPlace& place);

  struct KnownLimits {
    RowPlace place;
    RowLimits limits;
    bool known = false;
  };

  const RowContext& context_;
  store::CaptureReader& reference_;
  store::CaptureReader& candidate_;
  const std::unique_ptr<store::BlobReader> reference_data_;
  const std::unique_ptr<store::BlobReader> candidate_data_;
  Alignment alignment_;                                 // of the positions at hand
  const std::vector<RowStretch>* stretches_ = nullptr;  // of the position at hand
  std::vector<KnownLimits> limits_;                     // by checkpoint
  PairComparer comparer_;
};

// Why `suspect` looks like memory garbage beside `other`: its first elements are a pointer, or a
// lone impossible magnitude followed by a zero that the other side does not have. Empty when it
// does not. Both F32.
std::string GarbageReason(absl::string_view suspect, absl::string_view other);

}  // namespace parity::compare

#endif  // PARITY_COLLECTOR_COMPARE_ROW_MAKER_H_
