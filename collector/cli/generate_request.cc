#include "collector/cli/generate_request.h"

#include <CLI/CLI.hpp>

#include "proto/serve/command_line.h"
#include "proto/status/status_macros.h"
#include "proto/text/capture_choice.h"

namespace parity::cli {
namespace {

void AddSamplerFlags(CLI::App& command, GenerateFlags* flags) {
  command
      .add_option("--temperature", flags->temperature, "Softmax temperature; 0 (default) greedy")
      ->type_name("X");
  command.add_option("--top-k", flags->top_k, "Sample among the K likeliest; 0: all")
      ->type_name("K");
  command.add_option("--top-p", flags->top_p, "Sample within cumulative probability P; 0: all")
      ->type_name("P");
  command.add_option("--min-p", flags->min_p, "Drop tokens below P times the likeliest; 0: none")
      ->type_name("P");
  command.add_option("--seed", flags->seed, "Seed of the sampler")
      ->type_name("N")
      ->check(serve::AtLeastZero());
}

void AddCaptureFlags(CLI::App& command, GenerateFlags* flags) {
  command.add_option("--capture", flags->capture, "logits, layers, full, or globs A,B,...")
      ->type_name("LEVEL|GLOBS");
  command
      .add_option("--capture-values", flags->capture_values,
                  "Most values kept of each tensor; 0: all")
      ->type_name("N")
      ->check(serve::AtLeastZero());
  command.add_option("--run", flags->run, "Run the capture belongs to")->type_name("RUN");
  command.add_option("--team", flags->team, "Team the capture is stored under")->type_name("TEAM");
  command.add_option("--note", flags->note, "Note kept with the run")->type_name("TEXT");
  command
      .add_option("--shadow", flags->shadow,
                  "Feed every op what this team recorded; its tokens are used too")
      ->type_name("RUN/TEAM");
  command
      .add_option("--follow", flags->follow,
                  "Feed this team's prompt and continuation again, computing freely")
      ->type_name("RUN/TEAM");
}

}  // namespace

void AddGenerateFlags(CLI::App& command, GenerateFlags* flags) {
  command.add_option("--prompt", flags->prompt, "Prompt as text")->type_name("TEXT");
  command.add_option("--tokens", flags->tokens, "Prompt as token ids")->type_name("1,2,3");
  command.add_option("--force", flags->forced, "Continuation to follow instead of sampling")
      ->type_name("4,5,6");
  command.add_option("--max-tokens", flags->max_tokens, "Most tokens; 0: as forced, else 16")
      ->type_name("N")
      ->check(serve::AtLeastZero());
  command.add_option("--stop", flags->stop, "Stop before this text; repeatable")
      ->type_name("TEXT")
      ->allow_extra_args(false);
  command.add_flag("--ignore-eos", flags->ignore_eos, "Go on after an end-of-generation token");
  command.add_option("--prefill-step", flags->prefill_step, "Tokens a prefill step; 0: default")
      ->type_name("N")
      ->check(serve::AtLeastZero());
  AddSamplerFlags(command, flags);
  AddCaptureFlags(command, flags);
}

absl::StatusOr<v1::GenerateRequest> MakeGenerateRequest(const GenerateFlags& flags) {
  // Beside a followed capture the ids are optional: an imported log may not have recorded them.
  const int given = !flags.prompt.empty() + !flags.tokens.empty();
  const int followed = !flags.shadow.empty() + !flags.follow.empty();
  if (given > 1 || followed > 1 || given + followed == 0) {
    return absl::InvalidArgumentError(
        "give one of --prompt and --tokens, not empty, or one of --shadow and --follow");
  }
  v1::GenerateRequest request;
  ASSIGN_OR_RETURN(const std::vector<int32_t> tokens,
                   serve::ParseTokenIds("--tokens", flags.tokens));
  ASSIGN_OR_RETURN(const std::vector<int32_t> forced,
                   serve::ParseTokenIds("--force", flags.forced));
  request.set_prompt(flags.prompt);
  request.mutable_token_ids()->Add(tokens.begin(), tokens.end());
  request.mutable_forced_token_ids()->Add(forced.begin(), forced.end());
  request.set_shadow(flags.shadow);
  request.set_follow(flags.follow);
  request.set_run(flags.run);
  request.set_team(flags.team);
  request.set_note(flags.note);
  request.set_max_tokens(flags.max_tokens);
  request.set_temperature(flags.temperature);
  request.set_top_k(flags.top_k);
  request.set_top_p(flags.top_p);
  request.set_min_p(flags.min_p);
  request.set_seed(flags.seed);
  for (const std::string& stop : flags.stop) request.add_stop(stop);
  request.set_ignore_eos(flags.ignore_eos);
  request.set_prefill_tokens_per_step(flags.prefill_step);
  if (!flags.capture.empty()) {
    *request.mutable_capture() = text::ParseCaptureChoice(flags.capture);
    request.mutable_capture()->set_max_elements(flags.capture_values);
  }
  return request;
}

}  // namespace parity::cli
