#include "collector/compare/row_maker.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "proto/status/status_macros.h"
#include "proto/tensor/values.h"

namespace parity::compare {
namespace {

float FloatAt(absl::string_view bytes, size_t i) {
  float value;
  std::memcpy(&value, bytes.data() + 4 * i, sizeof(value));
  return value;
}

// A user-space heap or library address of x86-64 or AArch64 Linux: 0x0000'55.. to
// 0x0000'7fff'....'....
bool LooksLikePointer(uint64_t word) {
  const uint64_t high = word >> 32;
  return high >= 0x5500 && high <= 0x7fff && (word & 0xffffffff) != 0;
}

bool IsTiny(float value) { return std::fabs(value) < 1.2e-38f; }  // zero or denormal

void SetMetrics(const PairMetrics& m, v1::ComparisonRow* row) {
  row->set_elements(m.elements);
  row->set_bit_identical(m.bit_identical);
  row->set_max_abs(m.max_abs);
  row->set_max_abs_index(m.max_abs_index);
  row->set_reference_at_max(m.reference_at_max);
  row->set_candidate_at_max(m.candidate_at_max);
  row->set_mean_abs(m.mean_abs);
  row->set_rmse(m.rmse);
  row->set_nmse(m.nmse);
  row->set_cosine(m.cosine);
  row->set_max_channel_error(m.max_channel_error);
  row->set_reference_nan(m.reference_nan);
  row->set_reference_inf(m.reference_inf);
  row->set_candidate_nan(m.candidate_nan);
  row->set_candidate_inf(m.candidate_inf);
  if (m.first_non_finite >= 0) row->set_first_non_finite(m.first_non_finite);
}

void SetLogits(const LogitsMetrics& g, v1::ComparisonRow* row) {
  row->set_kl_divergence(g.kl_divergence);
  row->set_top1_match(g.reference_top1 == g.candidate_top1);
  row->set_reference_top1(g.reference_top1);
  row->set_candidate_top1(g.candidate_top1);
  row->set_reference_top1_rank(g.reference_top1_rank);
  row->set_reference_top1_gap(g.reference_top1_gap);
  row->set_top1_loss(g.top1_loss);
  row->set_top5_overlap(g.top5_overlap);
  row->set_near_tie(g.near_tie);
}

// What the values themselves say against them; empty when nothing.
std::string InvalidReason(const PairMetrics& m, const Payload& a, const Payload& b) {
  if (m.one_sided_non_finite >= 0) {
    return absl::StrCat("not finite in the same way at element ", m.one_sided_non_finite, ": ",
                        m.reference_nan, " NaN and ", m.reference_inf, " Inf against ",
                        m.candidate_nan, " and ", m.candidate_inf);
  }
  if (m.finite == 0) return "no element is finite on either side";
  if (m.bit_identical || a.dtype != v1::DTYPE_F32 || b.dtype != v1::DTYPE_F32) return "";
  if (std::string why = GarbageReason(a.bytes, b.bytes); !why.empty()) {
    return absl::StrCat("reference: ", why);
  }
  if (std::string why = GarbageReason(b.bytes, a.bytes); !why.empty()) {
    return absl::StrCat("candidate: ", why);
  }
  return "";
}

void Append(std::string* reason, absl::string_view text) {
  absl::StrAppend(reason, reason->empty() ? "" : "; ", text);
}

}  // namespace

std::string GarbageReason(absl::string_view suspect, absl::string_view other) {
  const size_t n = std::min(suspect.size(), other.size()) / 4;
  for (size_t i = 0; i + 1 < n && i <= 2; i += 2) {
    uint64_t word, other_word;
    std::memcpy(&word, suspect.data() + 4 * i, sizeof(word));
    std::memcpy(&other_word, other.data() + 4 * i, sizeof(other_word));
    if (word == other_word) continue;
    if (LooksLikePointer(word) && !LooksLikePointer(other_word)) {
      return absl::StrCat("elements ", i, " and ", i + 1,
                          " are a pointer's bits: ", absl::Hex(word, absl::kZeroPad16));
    }
    // A log prints the upper half of a pointer, a denormal, as 0.0.
    const float value = FloatAt(suspect, i);
    if (!IsTiny(FloatAt(suspect, i + 1)) || IsTiny(FloatAt(other, i + 1))) continue;
    float largest = 0;
    for (size_t j = 0; j < other.size() / 4; ++j) {
      largest = std::max(largest, std::fabs(FloatAt(other, j)));
    }
    // Sixteen times anything on the other side: no rounding does that to one element and zeroes its
    // neighbour.
    if (std::fabs(value) > 16 * largest) {
      return absl::StrFormat(
          "element %d is %.9g beside a lone zero, the other side has at most %.9g", i, value,
          largest);
    }
  }
  return "";
}

std::string RowMaker::Mismatch(const AlignedRow& aligned) const {
  if (aligned.candidate < 0) return "recorded by the reference only";
  if (aligned.reference < 0) return "recorded by the candidate only";
  const store::TensorRow& a = alignment_.reference[aligned.reference];
  const store::TensorRow& b = alignment_.candidate[aligned.candidate];
  if (a.elements != b.elements) {
    return absl::StrCat("shapes differ: ", tensor::ShapeToString(reference_.shape(a)), " against ",
                        tensor::ShapeToString(candidate_.shape(b)));
  }
  if (a.stored_elements == 0 || b.stored_elements == 0) return "no element was kept";
  return "";
}

const RowLimits& RowMaker::LimitsAt(int32_t checkpoint, const RowPlace& place) {
  KnownLimits& last = limits_[checkpoint];
  const bool same = last.known && last.place.reference_dtype == place.reference_dtype &&
                    last.place.candidate_dtype == place.candidate_dtype &&
                    last.place.single_op == place.single_op &&
                    last.place.stretch_layers == place.stretch_layers;
  if (!same) last = {place, context_.profile->Limits(place), true};
  return last.limits;
}

absl::Status RowMaker::Measure(const AlignedRow& aligned, v1::ComparisonRow* row) {
  const store::TensorRow& a = alignment_.reference[aligned.reference];
  const store::TensorRow& b = alignment_.candidate[aligned.candidate];
  ASSIGN_OR_RETURN(const absl::string_view reference,
                   reference_data_->Read(a.blob_id, a.offset, a.bytes));
  ASSIGN_OR_RETURN(const absl::string_view candidate,
                   candidate_data_->Read(b.blob_id, b.offset, b.bytes));
  const Payload left = {a.dtype, reference}, right = {b.dtype, candidate};
  const PairMetrics metrics = comparer_.Compare(left, right);
  SetMetrics(metrics, row);
  RowPlace place = {context_.plan->names[aligned.checkpoint], a.dtype, b.dtype};
  if (stretches_ != nullptr) {
    const RowStretch& stretch = (*stretches_)[aligned.checkpoint];
    row->set_measured_from(stretch.measured_from);
    row->set_single_op(stretch.single_op);
    place.single_op = stretch.single_op;
    place.stretch_layers = stretch.layers;
  }
  const RowLimits& limits = LimitsAt(aligned.checkpoint, place);
  row->set_floor_nmse(limits.floor_nmse);
  row->set_floor_multiples(metrics.nmse / limits.floor_nmse);
  row->set_verdict(VerdictOf(metrics.nmse, limits));
  std::string reason;
  if (std::string why = InvalidReason(metrics, left, right); !why.empty()) {
    row->set_verdict(v1::ROW_VERDICT_INVALID);
    reason = std::move(why);
  } else if (std::isinf(metrics.nmse)) {
    reason = "the reference is all zero, the candidate is not";
  } else if (row->verdict() != v1::ROW_VERDICT_MATCH) {
    reason = absl::StrFormat("nmse is %.3g times the floor, %g is the limit",
                             row->floor_multiples(), limits.match_multiples);
  }
  const bool whole = a.stored_elements == a.elements && b.stored_elements == b.elements;
  if (!whole) {
    Append(&reason, absl::StrCat("first ", metrics.elements, " of ", a.elements, " elements"));
  } else if (row->checkpoint() == "logits") {
    const LogitsMetrics logits = comparer_.CompareLogits(left, right, metrics);
    if (logits.valid) SetLogits(logits, row);
  }
  if (metrics.first_non_finite >= 0 && metrics.one_sided_non_finite < 0) {
    Append(&reason, absl::StrCat(metrics.elements - metrics.finite,
                                 " elements are not finite, the same on both sides"));
  }
  row->set_reason(std::move(reason));
  return absl::OkStatus();
}

absl::Status RowMaker::MakeRow(const AlignedRow& aligned, v1::ComparisonRow* row) {
  row->Clear();
  row->set_position(aligned.position);
  row->set_checkpoint(context_.plan->names[aligned.checkpoint]);
  if (aligned.position >= context_.identity->first_incomparable()) {
    row->set_verdict(v1::ROW_VERDICT_NOT_COMPARABLE);
    row->set_reason(context_.identity->other_model
                        ? "the model files differ"
                        : absl::StrCat("token ids differ from position ",
                                       context_.identity->first_token_mismatch, " on"));
    return absl::OkStatus();
  }
  if (std::string why = Mismatch(aligned); !why.empty()) {
    row->set_verdict(v1::ROW_VERDICT_UNMEASURED);
    row->set_reason(std::move(why));
    return absl::OkStatus();
  }
  return Measure(aligned, row);
}

size_t RowMaker::BeginPosition(size_t begin) {
  const std::vector<AlignedRow>& rows = alignment_.rows;
  size_t end = begin;
  while (end < rows.size() && rows[end].position == rows[begin].position) ++end;
  if (context_.stretches != nullptr) {
    stretches_ =
        &context_.stretches->Of(Substituted(alignment_, begin, end, context_.plan->names.size()));
  }
  return end;
}

absl::Status RowMaker::Make(PositionRange positions, MadeRows* made) {
  RETURN_IF_ERROR(AlignPositions(*context_.plan, positions, reference_, candidate_, &alignment_));
  const absl::Cleanup release = [this] {
    reference_data_->Release();
    candidate_data_->Release();
  };
  const size_t rows = alignment_.rows.size();
  made->rows.resize(rows);
  made->checkpoints.resize(rows);
  for (size_t i = 0, position_end = 0; i < rows; ++i) {
    if (i == position_end) position_end = BeginPosition(i);
    made->checkpoints[i] = alignment_.rows[i].checkpoint;
    RETURN_IF_ERROR(MakeRow(alignment_.rows[i], &made->rows[i]));
  }
  return absl::OkStatus();
}

}  // namespace parity::compare
