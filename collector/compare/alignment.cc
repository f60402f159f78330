#include "collector/compare/alignment.h"

#include <algorithm>
#include <future>
#include <limits>

#include "absl/container/flat_hash_map.h"
#include "proto/status/status_macros.h"

namespace parity::compare {
namespace {

// The names of both readers in forward order; `reference` and `candidate` receive each reader's
// indices into them.
std::vector<std::string> MergeNames(const store::CaptureReader& a, const store::CaptureReader& b,
                                    std::vector<int32_t>& reference,
                                    std::vector<int32_t>& candidate) {
  std::vector<const store::CheckpointInfo*> infos;
  for (const store::CheckpointInfo& info : a.checkpoints()) infos.push_back(&info);
  for (const store::CheckpointInfo& info : b.checkpoints()) infos.push_back(&info);
  std::sort(infos.begin(), infos.end(), [](const auto* x, const auto* y) {
    return x->ordinal != y->ordinal ? x->ordinal < y->ordinal : x->name < y->name;
  });
  std::vector<std::string> names;
  absl::flat_hash_map<std::string, int32_t> index;
  for (const store::CheckpointInfo* info : infos) {
    if (index.emplace(info->name, static_cast<int32_t>(names.size())).second) {
      names.push_back(info->name);
    }
  }
  for (const store::CheckpointInfo& info : a.checkpoints()) reference.push_back(index[info.name]);
  for (const store::CheckpointInfo& info : b.checkpoints()) candidate.push_back(index[info.name]);
  return names;
}

// Pairs the rows of both sides, which are sorted.
void PairRows(const std::vector<int32_t>& reference_index,
              const std::vector<int32_t>& candidate_index, Alignment* aligned) {
  size_t r = 0, c = 0;
  auto key = [](const store::TensorRow& row, const std::vector<int32_t>& index) {
    return std::pair<int32_t, int32_t>(row.position, index[row.checkpoint]);
  };
  constexpr std::pair<int32_t, int32_t> kEnd = {std::numeric_limits<int32_t>::max(),
                                                std::numeric_limits<int32_t>::max()};
  aligned->rows.clear();
  aligned->rows.reserve(std::max(aligned->reference.size(), aligned->candidate.size()));
  while (r < aligned->reference.size() || c < aligned->candidate.size()) {
    const auto left =
        r < aligned->reference.size() ? key(aligned->reference[r], reference_index) : kEnd;
    const auto right =
        c < aligned->candidate.size() ? key(aligned->candidate[c], candidate_index) : kEnd;
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

absl::StatusOr<Alignment> Align(store::CaptureReader& reference, store::CaptureReader& candidate,
                                const v1::CompareRequest& request) {
  ASSIGN_OR_RETURN(store::RowFilter reference_filter, SelectRows(reference, request));
  ASSIGN_OR_RETURN(store::RowFilter candidate_filter, SelectRows(candidate, request));
  Alignment aligned;
  std::vector<int32_t> reference_index, candidate_index;
  aligned.names = MergeNames(reference, candidate, reference_index, candidate_index);
  // The flags tell what a shadow run substituted, and shapes are only told where sizes differ.
  using Columns = store::RowFilter::Columns;
  const bool shadow = candidate.capture().provenance().kind() == v1::CAPTURE_KIND_SHADOW;
  for (Columns columns = shadow ? Columns::kShape : Columns::kPlace;; columns = Columns::kShape) {
    reference_filter.columns = candidate_filter.columns = columns;
    // The two readers have their own connections: read both sides' rows at once.
    auto other =
        std::async(std::launch::async, [&] { return candidate.ReadTensors(candidate_filter); });
    absl::StatusOr<std::vector<store::TensorRow>> own = reference.ReadTensors(reference_filter);
    absl::StatusOr<std::vector<store::TensorRow>> others = other.get();
    ASSIGN_OR_RETURN(aligned.reference, std::move(own));
    ASSIGN_OR_RETURN(aligned.candidate, std::move(others));
    PairRows(reference_index, candidate_index, &aligned);
    if (columns == Columns::kShape || !SizesDiffer(aligned)) return aligned;
  }
}

}  // namespace parity::compare
