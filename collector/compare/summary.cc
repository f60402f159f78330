#include "collector/compare/summary.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "collector/store/row_verdict.h"
#include "proto/checkpoint/name.h"

namespace parity::compare {
namespace {

// Where a stage stands among the stages; unknown ones last.
int64_t StageOrder(absl::string_view checkpoint) {
  const std::optional<checkpoint::Name> name = checkpoint::Parse(checkpoint);
  return name ? static_cast<int64_t>(name->stage) : checkpoint::kStageCount;
}

int64_t Measured(const v1::ComparisonSummary& s) {
  return s.match() + s.drift() + s.diverged() + s.invalid();
}

int64_t AllRows(const v1::ComparisonSummary& s) {
  return Measured(s) + s.unmeasured() + s.not_comparable();
}

// NaN, which nothing could be measured of, is above every number.
bool Exceeds(double value, double other) {
  return std::isnan(value) ? !std::isnan(other) : value > other;
}

std::string Where(const v1::ComparisonRow& row) {
  return absl::StrCat(row.checkpoint(), " at position ", row.position());
}

}  // namespace

void SummaryBuilder::Add(const v1::ComparisonRow& row, int32_t checkpoint) {
  switch (row.verdict()) {
    case v1::ROW_VERDICT_MATCH:
      summary_.set_match(summary_.match() + 1);
      break;
    case v1::ROW_VERDICT_DRIFT:
      summary_.set_drift(summary_.drift() + 1);
      break;
    case v1::ROW_VERDICT_DIVERGED:
      summary_.set_diverged(summary_.diverged() + 1);
      break;
    case v1::ROW_VERDICT_INVALID:
      summary_.set_invalid(summary_.invalid() + 1);
      break;
    case v1::ROW_VERDICT_NOT_COMPARABLE:
      summary_.set_not_comparable(summary_.not_comparable() + 1);
      break;
    default:
      summary_.set_unmeasured(summary_.unmeasured() + 1);
      break;
  }
  if (!store::IsMeasured(row.verdict())) return;
  identical_ += row.bit_identical();
  const bool bad =
      row.verdict() == v1::ROW_VERDICT_DIVERGED || row.verdict() == v1::ROW_VERDICT_INVALID;
  if (bad && !summary_.has_first_divergence()) *summary_.mutable_first_divergence() = row;
  if (!summary_.has_worst() || Exceeds(row.floor_multiples(), summary_.worst().floor_multiples())) {
    *summary_.mutable_worst() = row;
  }
  AddToStage(row, PlaceOf(row, checkpoint));
  AddLogits(row);
}

const SummaryBuilder::Place& SummaryBuilder::PlaceOf(const v1::ComparisonRow& row,
                                                     int32_t checkpoint) {
  if (static_cast<size_t>(checkpoint) >= places_.size()) places_.resize(checkpoint + 1);
  Place& place = places_[checkpoint];
  if (place.stage != nullptr) return place;
  const std::string label = checkpoint::StageLabel(row.checkpoint());
  place.stage = &stages_[{StageOrder(row.checkpoint()), label}];
  place.stage->summary.set_stage(label);
  place.layer = checkpoint::LayerOf(row.checkpoint());
  return place;
}

void SummaryBuilder::AddToStage(const v1::ComparisonRow& row, const Place& place) {
  Stage& stage = *place.stage;
  v1::StageSummary& summary = stage.summary;
  summary.set_rows(summary.rows() + 1);
  if (!std::isnan(row.nmse())) {
    stage.nmse_sum += row.nmse();
    ++stage.numbers;
  }
  // The enum rises from MATCH to INVALID. Floors differ by layer: the largest nmse may well match
  // where a smaller one does not, so the row that is shown is the furthest from its own floor of
  // those that have the stage's verdict.
  if (row.verdict() < summary.verdict()) return;
  const bool as_bad = row.verdict() == summary.verdict();
  if (as_bad && !Exceeds(row.floor_multiples(), stage.worst_multiples)) return;
  stage.worst_multiples = row.floor_multiples();
  summary.set_verdict(row.verdict());
  summary.set_worst_nmse(row.nmse());
  summary.set_worst_layer(place.layer);
  summary.set_worst_position(row.position());
  summary.set_floor_nmse(row.floor_nmse());
}

void SummaryBuilder::AddLogits(const v1::ComparisonRow& row) {
  if (row.checkpoint() != "logits" || std::isnan(row.nmse())) return;
  ++logits_rows_;
  logits_nmse_sum_ += row.nmse();
  summary_.set_max_logits_nmse(std::max(summary_.max_logits_nmse(), row.nmse()));
  if (!row.has_kl_divergence()) return;
  summary_.set_logit_positions(summary_.logit_positions() + 1);
  summary_.set_top1_matches(summary_.top1_matches() + row.top1_match());
  summary_.set_near_ties(summary_.near_ties() + row.near_tie());
  kl_sum_ += row.kl_divergence();
  summary_.set_max_kl(std::max(summary_.max_kl(), row.kl_divergence()));
}

void SummaryBuilder::Decide(bool other_model, const v1::Capture& reference,
                            const v1::Capture& candidate) {
  const int64_t measured = Measured(summary_), all = AllRows(summary_);
  std::string reason;
  v1::Verdict verdict = v1::VERDICT_PARITY;
  if (measured == 0) {
    verdict = v1::VERDICT_NOT_COMPARABLE;
    reason = other_model                  ? "the two captures are of different models"
             : all == 0                   ? "neither capture has a tensor in the range"
             : summary_.unmeasured() == 0 ? "the token ids differ from the start"
                                          : "the two captures have no comparable tensor in common";
  } else if (summary_.diverged() + summary_.invalid() > 0) {
    verdict = v1::VERDICT_DIVERGED;
    reason = absl::StrCat(summary_.diverged(), " rows diverged and ", summary_.invalid(),
                          " are invalid of ", measured, " measured; first ",
                          Where(summary_.first_divergence()));
  } else if (summary_.drift() > 0) {
    verdict = v1::VERDICT_DRIFT;
    reason = absl::StrFormat("%d of %d rows above the floor, none diverged; worst %s, %.3g times",
                             summary_.drift(), measured, Where(summary_.worst()),
                             summary_.worst().floor_multiples());
  } else if (measured < all) {
    verdict = v1::VERDICT_INCOMPLETE;
    reason = absl::StrCat("all ", measured, " measured rows match, but ", all - measured,
                          " could not be measured");
  } else if (reference.status() != v1::CAPTURE_STATUS_COMPLETE ||
             candidate.status() != v1::CAPTURE_STATUS_COMPLETE) {
    verdict = v1::VERDICT_INCOMPLETE;
    const v1::Capture& side =
        reference.status() != v1::CAPTURE_STATUS_COMPLETE ? reference : candidate;
    reason = absl::StrCat("all ", measured, " rows match, but the capture of ", side.team(),
                          " is not complete", side.message().empty() ? "" : ": ", side.message());
  } else if (summary_.bit_identical()) {
    reason = absl::StrCat("all ", measured, " rows are equal to the bit");
  } else {
    reason = absl::StrFormat("all %d rows match; worst %s, %.3g times the floor", measured,
                             Where(summary_.worst()), summary_.worst().floor_multiples());
  }
  summary_.set_verdict(verdict);
  summary_.set_reason(reason);
}

v1::ComparisonSummary SummaryBuilder::Finish(bool other_model, const v1::Capture& reference,
                                             const v1::Capture& candidate) {
  const int64_t measured = Measured(summary_), all = AllRows(summary_);
  summary_.set_coverage(all == 0 ? 0 : measured / static_cast<double>(all));
  summary_.set_bit_identical(measured > 0 && identical_ == measured);
  if (logits_rows_ > 0) {
    summary_.set_mean_logits_nmse(logits_nmse_sum_ / static_cast<double>(logits_rows_));
  }
  if (summary_.logit_positions() > 0) {
    summary_.set_mean_kl(kl_sum_ / static_cast<double>(summary_.logit_positions()));
  }
  for (auto& [order, stage] : stages_) {
    stage.summary.set_mean_nmse(stage.nmse_sum / static_cast<double>(stage.numbers));
    *summary_.add_stages() = stage.summary;
  }
  summary_.set_reference_status(reference.status());
  summary_.set_candidate_status(candidate.status());
  Decide(other_model, reference, candidate);
  return std::move(summary_);
}

}  // namespace parity::compare
