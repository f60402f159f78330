// Turns one aligned pair of tensors into a ComparisonRow: metrics, limits, verdict, reason.
#ifndef PARITY_COLLECTOR_COMPARE_ROW_MAKER_H_
#define PARITY_COLLECTOR_COMPARE_ROW_MAKER_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "collector/compare/alignment.h"
#include "collector/compare/identity_gate.h"
#include "collector/compare/pair_metrics.h"
#include "collector/compare/profile.h"
#include "collector/compare/shadow_stretch.h"
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

// One thread's maker, with its own readers of the two captures.
class RowMaker {
 public:
  RowMaker(const RowContext& context, store::CaptureReader& reference,
           store::CaptureReader& candidate)
      : context_(context), reference_(reference), candidate_(candidate) {}

  absl::Status Make(const AlignedRow& aligned, v1::ComparisonRow* row);

 private:
  // Why the two cannot be paired; empty when they can.
  std::string Mismatch(const AlignedRow& aligned) const;
  absl::Status Measure(const AlignedRow& aligned, v1::ComparisonRow* row);

  const RowContext& context_;
  store::CaptureReader& reference_;
  store::CaptureReader& candidate_;
  PairComparer comparer_;
};

// Why `suspect` looks like memory garbage beside `other`: its first elements are a pointer, or a
// lone impossible magnitude followed by a zero that the other side does not have. Empty when it
// does not. Both F32.
std::string GarbageReason(absl::string_view suspect, absl::string_view other);

}  // namespace parity::compare

#endif  // PARITY_COLLECTOR_COMPARE_ROW_MAKER_H_
