#include "collector/compare/alignment.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "proto/status/status_macros.h"

namespace parity::compare {
namespace {

// Fills the plan's names: of both readers, in forward order.
void MergeNames(const store::CaptureReader& a, const store::CaptureReader& b, AlignmentPlan* plan) {
  std::vector<const store::CheckpointInfo*> infos;
  for (const store::CheckpointInfo& info : a.checkpoints()) infos.push_back(&info);
  for (const store::CheckpointInfo& info : b.checkpoints()) infos.push_back(&info);
  std::sort(infos.begin(), infos.end(), [](const auto* x, const auto* y) {
    return x->ordinal != y->ordinal ? x->ordinal < y->ordinal : x->name < y->name;
  });
  absl::flat_hash_map<std::string, int32_t> index;
  for (const store::CheckpointInfo* info : infos) {
    if (index.emplace(info->name, static_cast<int32_t>(plan->names.size())).second) {
      plan->names.push_back(info->name);
    }
  }
  for (const auto& info : a.checkpoints()) plan->reference_names.push_back(index[info.name]);
  for (const auto& info : b.checkpoints()) plan->candidate_names.push_back(index[info.name]);
}

// Pairs the rows of both sides, which are sorted.
void PairRows(const AlignmentPlan& plan, Alignment* aligned) {
  size_t r = 0, c = 0;
  auto key = [](const store::TensorRow& row, const std::vector<int32_t>& names) {
    return std::pair<int32_t, int32_t>(row.position, names[row.checkpoint]);
  };
  constexpr std::pair<int32_t, int32_t> kEnd = {std::numeric_limits<int32_t>::max(),
                                                std::numeric_limits<int32_t>::max()};
  aligned->rows.clear();
  aligned->rows.reserve(std::max(aligned->reference.size(), aligned->candidate.size()));
  while (r < aligned->reference.size() || c < aligned->candidate.size()) {
    const auto left =
        r < aligned->reference.size() ? key(aligned->reference[r], plan.reference_names) : kEnd;
    const auto right =
        c < aligned->candidate.size() ? key(aligned->candidate[c], plan.candidate_names) : kEnd;
    const auto first = std::min(left, right);
    AlignedRow row = {first.first, first.second, -1, -1};
    if (left == first) row.reference = static_cast<int32_t>(r++);
    if (right == first) row.candidate = static_cast<int32_t>(c++);
    aligned->rows.push_back(row);
  }
}

bool SizesDiffer(const Alignment& aligned) {
  return std::any_of(aligned.rows.begin(), aligned.rows.end(), [&](const AlignedRow& row) {
    return row.reference >= 0 && row.candidate >= 0 &&
           aligned.reference[row.reference].elements != aligned.candidate[row.candidate].elements;
  });
}

}  // namespace

absl::StatusOr<store::RowFilter> SelectRows(const store::CaptureReader& reader,
                                            const v1::CompareRequest& request) {
  const int32_t last =
      request.has_last_position() ? request.last_position() : std::numeric_limits<int32_t>::max();
  return store::SelectRows(reader.checkpoints(), request.first_position(), last,
                           request.checkpoints());
}

absl::StatusOr<AlignmentPlan> PlanAlignment(const store::CaptureReader& reference,
                                            const store::CaptureReader& candidate,
                                            const v1::CompareRequest& request) {
  AlignmentPlan plan;
  ASSIGN_OR_RETURN(plan.reference_filter, SelectRows(reference, request));
  ASSIGN_OR_RETURN(plan.candidate_filter, SelectRows(candidate, request));
  MergeNames(reference, candidate, &plan);
  return plan;
}

absl::Status AlignPositions(const AlignmentPlan& plan, PositionRange positions,
                            store::CaptureReader& reference, store::CaptureReader& candidate,
                            Alignment* aligned) {
  store::RowFilter reference_filter = plan.reference_filter;
  store::RowFilter candidate_filter = plan.candidate_filter;
  reference_filter.first_position = candidate_filter.first_position = positions.first;
  reference_filter.last_position = candidate_filter.last_position = positions.last;
  // The flags tell what a shadow run substituted, and shapes are only told where sizes differ.
  using Columns = store::RowFilter::Columns;
  const bool shadow = candidate.capture().provenance().kind() == v1::CAPTURE_KIND_SHADOW;
  for (Columns columns = shadow ? Columns::kShape : Columns::kPlace;; columns = Columns::kShape) {
    reference_filter.columns = candidate_filter.columns = columns;
    RETURN_IF_ERROR(reference.ReadTensors(reference_filter, &aligned->reference));
    RETURN_IF_ERROR(candidate.ReadTensors(candidate_filter, &aligned->candidate));
    PairRows(plan, aligned);
    if (columns == Columns::kShape || !SizesDiffer(*aligned)) return absl::OkStatus();
  }
}

}  // namespace parity::compare
