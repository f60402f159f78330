#include "collector/cli/compare_request.h"

#include <CLI/CLI.hpp>

#include "collector/cli/flags.h"
#include "proto/status/status_macros.h"

namespace parity::cli {

void AddCompareFlags(CLI::App& command, CompareFlags* flags, bool required) {
  auto* reference = command.add_option("--reference", flags->reference, "Team to measure against")
                        ->type_name("TEAM");
  auto* candidate =
      command.add_option("--candidate", flags->candidate, "Team to judge")->type_name("TEAM");
  if (required) {
    reference->required();
    candidate->required();
  } else {
    reference->needs(candidate);
    candidate->needs(reference);
  }
  command
      .add_option("--candidate-run", flags->candidate_run,
                  "Run of the candidate, when it is another one")
      ->type_name("RUN")
      ->needs(candidate);
  command
      .add_option("--profile", flags->profile,
                  "Tolerance profile: f32, f16, bf16, quantised, shadow (default: by provenance)")
      ->type_name("NAME")
      ->needs(candidate);
  AddSelectionFlags(command, &flags->checkpoints, &flags->positions);
}

absl::StatusOr<v1::CompareRequest> MakeCompareRequest(const CompareFlags& flags) {
  ASSIGN_OR_RETURN(const PositionRange positions, ParsePositions(flags.positions));
  v1::CompareRequest request;
  request.set_run(flags.run);
  request.set_reference(flags.reference);
  request.set_candidate(flags.candidate);
  request.set_candidate_run(flags.candidate_run);
  request.set_profile(flags.profile);
  for (const std::string& glob : flags.checkpoints) request.add_checkpoints(glob);
  request.set_first_position(positions.first);
  if (positions.last.has_value()) request.set_last_position(*positions.last);
  return request;
}

}  // namespace parity::cli
