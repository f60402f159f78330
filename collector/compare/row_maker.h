// Turns one aligned pair of tensors into a ComparisonRow: metrics, limits, verdict, reason.
#ifndef PARITY_COLLECTOR_COMPARE_ROW_MAKER_H_
#define PARITY_COLLECTOR_COMPARE_ROW_MAKER_H_

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "collector/compare/alignment.h"
#include "collector/compare/identity_gate.h"
#include "collector/compare/pair_metrics.h"
#include "collector/compare/profile.h"
#include "collector/compare/shadow_stretch.h"
#include "collector/store/blob_reader.h"
#include "collector/store/capture_reader.h"
#include "parity/v1/collector.pb.h"

namespace parity::compare {

// What all rows of a comparison share. The readers here are asked for shapes only.
struct RowContext {
  const Alignment* alignment = nullptr;
  const Profile* profile = nullptr;
  const Identity* identity = nullptr;
  const ShadowStretches* stretches =
      nullptr;  // null unless the candidate is a shadow of the reference
  const store::CaptureReader* reference_shapes = nullptr;
  const store::CaptureReader* candidate_shapes = nullptr;
};

// One thread's maker, with a reader for each side's bytes.
class RowMaker {
 public:
  RowMaker(const RowContext& context, std::unique_ptr<store::BlobReader> reference,
           std::unique_ptr<store::BlobReader> candidate)
      : context_(context),
        reference_(std::move(reference)),
        candidate_(std::move(candidate)),
        limits_(context.alignment->names.size()) {}

  // REQUIRES: `row` is empty.
  absl::Status Make(const AlignedRow& aligned, v1::ComparisonRow* row);
  // Ends the readers' transactions.
  void Release() {
    reference_->Release();
    candidate_->Release();
  }

 private:
  // Why the two cannot be paired; empty when they can.
  std::string Mismatch(const AlignedRow& aligned) const;
  absl::Status Measure(const AlignedRow& aligned, v1::ComparisonRow* row);
  // The profile's limits, remembered: a checkpoint's place is nearly the same at every position.
  const RowLimits& LimitsAt(int32_t checkpoint, const RowPlace& place);

  struct KnownLimits {
    RowPlace place;
    RowLimits limits;
    bool known = false;
  };

  const RowContext& context_;
  const std::unique_ptr<store::BlobReader> reference_;
  const std::unique_ptr<store::BlobReader> candidate_;
  std::vector<KnownLimits> limits_;  // by checkpoint
  PairComparer comparer_;
};

// Why `suspect` looks like memory garbage beside `other`: its first elements are a pointer, or a
// lone impossible magnitude followed by a zero that the other side does not have. Empty when it
// does not. Both F32.
std::string GarbageReason(absl::string_view suspect, absl::string_view other);

}  // namespace parity::compare

#endif  // PARITY_COLLECTOR_COMPARE_ROW_MAKER_H_
