#include "collector/compare/comparison.h"

#include <algorithm>
#include <cstddef>
#include <future>
#include <memory>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "collector/compare/alignment.h"
#include "collector/compare/identity_gate.h"
#include "collector/compare/profile.h"
#include "collector/compare/row_factory.h"
#include "collector/compare/row_maker.h"
#include "collector/compare/shadow_stretch.h"
#include "collector/compare/summary.h"
#include "proto/checkpoint/name.h"
#include "proto/status/status_macros.h"

namespace parity::compare {
namespace {

using Reader = std::unique_ptr<store::CaptureReader>;

// Whether the candidate follows exactly this reference.
bool Follows(const store::CaptureReader& candidate, const store::CaptureReader& reference) {
  const v1::Provenance& provenance = candidate.capture().provenance();
  return provenance.kind() == v1::CAPTURE_KIND_SHADOW &&
         provenance.shadow_of() == absl::StrCat(reference.run(), "/", reference.capture().team());
}

int Layers(const AlignmentPlan& plan) {
  int layers = 0;
  for (const std::string& name : plan.names) {
    if (const auto known = checkpoint::Parse(name)) layers = std::max(layers, known->layer + 1);
  }
  return layers;
}

std::vector<int32_t> PositionsOf(const std::vector<v1::TokenRecord>& a,
                                 const std::vector<v1::TokenRecord>& b) {
  std::vector<int32_t> positions;
  for (const v1::TokenRecord& token : a) positions.push_back(token.position());
  for (const v1::TokenRecord& token : b) positions.push_back(token.position());
  std::sort(positions.begin(), positions.end());
  positions.erase(std::unique(positions.begin(), positions.end()), positions.end());
  return positions;
}

struct Prepared {
  Reader reference, candidate;
  AlignmentPlan plan;
  std::vector<int32_t> positions;  // of either side's tokens
  Identity identity;
  std::optional<Profile> profile;
  std::optional<ShadowStretches> stretches;
};

absl::Status Prepare(store::CaptureStore& store, const v1::CompareRequest& request,
                     Prepared* prepared) {
  if (request.store() && store.read_only()) {
    return absl::FailedPreconditionError(
        absl::StrCat(store.path(), " is open read-only: the comparison cannot be stored"));
  }
  const std::string& candidate_run =
      request.candidate_run().empty() ? request.run() : request.candidate_run();
  auto other = std::async(std::launch::async,
                          [&] { return store.OpenCapture(candidate_run, request.candidate()); });
  absl::StatusOr<Reader> own = store.OpenCapture(request.run(), request.reference());
  absl::StatusOr<Reader> others = other.get();
  ASSIGN_OR_RETURN(prepared->reference, std::move(own));
  ASSIGN_OR_RETURN(prepared->candidate, std::move(others));
  store::CaptureReader &reference = *prepared->reference, &candidate = *prepared->candidate;
  ASSIGN_OR_RETURN(prepared->plan, PlanAlignment(reference, candidate, request));
  ASSIGN_OR_RETURN(const std::vector<v1::TokenRecord> reference_tokens, reference.ReadTokens());
  ASSIGN_OR_RETURN(const std::vector<v1::TokenRecord> candidate_tokens, candidate.ReadTokens());
  prepared->positions = PositionsOf(reference_tokens, candidate_tokens);
  const v1::Provenance& a = reference.capture().provenance();
  v1::Provenance b = candidate.capture().provenance();
  prepared->identity = CheckIdentity(a, b, reference_tokens, candidate_tokens);
  if (b.kind() == v1::CAPTURE_KIND_SHADOW && !Follows(candidate, reference)) {
    prepared->identity.lines.push_back(
        absl::StrCat("kind: the candidate is a shadow of ", b.shadow_of(),
                     ", not of this reference, so its rows are not compared as local errors"));
    b.set_kind(v1::CAPTURE_KIND_FREE);
  }
  ASSIGN_OR_RETURN(prepared->profile,
                   Profile::Choose(request.profile(), a, b, Layers(prepared->plan)));
  for (const std::string& note : prepared->profile->notes()) {
    prepared->identity.lines.push_back(absl::StrCat("profile: ", note));
  }
  if (b.kind() == v1::CAPTURE_KIND_SHADOW) {
    prepared->stretches.emplace(prepared->plan.names,
                                a.architecture().empty() ? b.architecture() : a.architecture());
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CompareCaptures(store::CaptureStore& store, const v1::CompareRequest& request,
                             const RowCallback& on_row, v1::ComparisonSummary* summary,
                             CompareOptions options) {
  Prepared prepared;
  RETURN_IF_ERROR(Prepare(store, request, &prepared));
  const v1::Capture reference = prepared.reference->capture();
  const v1::Capture candidate = prepared.candidate->capture();
  const int64_t reference_id = prepared.reference->capture_id();
  const int64_t candidate_id = prepared.candidate->capture_id();
  const RowContext context = {&prepared.plan, &*prepared.profile, &prepared.identity,
                              prepared.stretches ? &*prepared.stretches : nullptr};
  SummaryBuilder builder;
  std::vector<v1::ComparisonRow> kept;
  {
    RowFactory factory(store, context, *prepared.reference, *prepared.candidate,
                       prepared.positions);
    const int cores = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
    factory.Start(options.threads > 0 ? options.threads : cores);
    while (true) {
      ASSIGN_OR_RETURN(std::optional<MadeRows> made, factory.Next());
      if (!made) break;
      for (size_t i = 0; i < made->rows.size(); ++i) {
        v1::ComparisonRow& row = made->rows[i];
        builder.Add(row, made->checkpoints[i]);
        RETURN_IF_ERROR(on_row(row));
        if (request.store()) kept.push_back(std::move(row));
      }
      factory.Recycle(*std::move(made));
    }
  }
  // Rows of a capture that was deleted meanwhile were not found.
  RETURN_IF_ERROR(prepared.reference->CheckExists());
  RETURN_IF_ERROR(prepared.candidate->CheckExists());
  *summary = builder.Finish(prepared.identity.other_model, reference, candidate);
  summary->set_profile(prepared.profile->name());
  for (const std::string& line : prepared.identity.lines) summary->add_identity(line);
  if (prepared.identity.first_token_mismatch >= 0) {
    summary->set_first_token_mismatch(prepared.identity.first_token_mismatch);
  }
  if (request.store()) {
    ASSIGN_OR_RETURN(const int64_t id,
                     store.StoreComparison(reference_id, candidate_id, *summary, kept));
    summary->set_comparison_id(id);
  }
  return absl::OkStatus();
}

}  // namespace parity::compare
