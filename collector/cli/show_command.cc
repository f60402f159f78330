#include "collector/cli/show_command.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "collector/cli/capture_table.h"
#include "collector/cli/proto_json.h"
#include "collector/cli/table.h"
#include "collector/cli/tensor_view.h"
#include "collector/cli/text.h"
#include "proto/serve/command_line.h"
#include "proto/status/status_macros.h"

namespace parity::cli {
namespace {

struct ShowOptions {
  ConnectionOptions connection;
  std::string run, team, checkpoint, format;
  int position = -1;
  int values = 8;
  bool tokens = false;
  bool checkpoints = false;
};

Table ProvenanceTable(const v1::Run& run) {
  Table table({{"team", "team", false, true}, {"what", "what"}, {"value", "value", false, true}});
  for (const v1::Capture& capture : run.captures()) {
    const v1::Provenance& p = capture.provenance();
    const std::pair<const char*, std::string> lines[] = {
        {"engine", p.engine()},
        {"engine version", p.engine_version()},
        {"model", p.model_name()},
        {"model sha256", p.model_sha256()},
        {"architecture", p.architecture()},
        {"weights", p.weight_type()},
        {"KV cache", p.kv_type()},
        {"activations", p.activation_precision()},
        {"attention", p.attention()},
        {"numerics", p.numerics()},
        {"compute path", p.compute_path()},
        {"threads", p.threads() == 0 ? "" : absl::StrCat(p.threads())},
        {"sampler", p.sampler()},
        {"capture spec", p.capture_spec()},
        {"shadow of", p.shadow_of()},
        {"incomplete because", capture.message()},
    };
    for (const auto& [what, value] : lines) {
      if (!value.empty()) {
        table.AddRow({Cell::Text(capture.team()), Cell::Text(what), Cell::Text(value)});
      }
    }
    const std::map<std::string, std::string> sorted(p.extra().begin(), p.extra().end());
    for (const auto& [what, value] : sorted) {
      table.AddRow({Cell::Text(capture.team()), Cell::Text(what), Cell::Text(value)});
    }
  }
  return table;
}

Table TokenTable(const v1::GetRunResponse& response) {
  Table table({{"team", "team", false, true},
               {"position", "position", true},
               {"phase", "phase"},
               {"input_token_id", "token id", true},
               {"chosen_token_id", "chosen id", true},
               {"chosen_text", "chosen text", false, true}});
  for (const v1::TokenRecord& token : response.tokens()) {
    const bool known = token.has_chosen_token_id();
    table.AddRow({Cell::Text(token.team()), Cell::Int(token.position()),
                  token.phase() == v1::PHASE_UNSPECIFIED ? Cell::Missing()
                                                         : Cell::Text(ShortName(token.phase())),
                  token.input_token_id() < 0 ? Cell::Missing() : Cell::Int(token.input_token_id()),
                  known ? Cell::Int(token.chosen_token_id()) : Cell::Missing(),
                  known ? Cell::Text(token.chosen_text()) : Cell::Missing()});
  }
  return table;
}

Table CheckpointTable(const v1::GetRunResponse& response) {
  Table table({{"checkpoint", "checkpoint", false, true}});
  for (const std::string& name : response.checkpoints()) table.AddRow({Cell::Text(name)});
  return table;
}

// Keeps one team of the answer. NOT_FOUND names the teams there are.
absl::Status KeepTeam(const std::string& team, v1::GetRunResponse* response) {
  auto& captures = *response->mutable_run()->mutable_captures();
  std::vector<std::string> teams;
  for (const v1::Capture& capture : captures) teams.push_back(capture.team());
  if (std::find(teams.begin(), teams.end(), team) == teams.end()) {
    return absl::NotFoundError(absl::StrCat("run '", response->run().name(), "' has no team '",
                                            team, "'; it has: ", absl::StrJoin(teams, ", ")));
  }
  const auto other = [&team](const auto& item) { return item.team() != team; };
  captures.erase(std::remove_if(captures.begin(), captures.end(), other), captures.end());
  auto& tokens = *response->mutable_tokens();
  tokens.erase(std::remove_if(tokens.begin(), tokens.end(), other), tokens.end());
  return absl::OkStatus();
}

absl::StatusOr<ExitCode> ShowTensor(const ShowOptions& options, Connection& collector,
                                    const Console& console) {
  if (options.team.empty() || options.position < 0 || options.checkpoint.empty()) {
    return absl::InvalidArgumentError(
        "one tensor is named by --team, --position and --checkpoint together");
  }
  v1::GetTensorRequest request;
  request.set_run(options.run);
  request.set_team(options.team);
  request.set_position(options.position);
  request.set_checkpoint(options.checkpoint);
  v1::Tensor tensor;
  const auto context = collector.NewContext();
  RETURN_IF_ERROR(collector.Result(collector.stub().GetTensor(context.get(), request, &tensor)));
  ASSIGN_OR_RETURN(const Format format, ParseFormat(options.format));
  ASSIGN_OR_RETURN(const std::string text,
                   RenderTensor(tensor, options.values, format, console.width));
  console.out << text;
  return ExitCode::kParity;
}

absl::StatusOr<ExitCode> Show(const ShowOptions& options, Connection& collector,
                              const Console& console) {
  if (options.position >= 0 || !options.checkpoint.empty()) {
    return ShowTensor(options, collector, console);
  }
  v1::GetRunRequest request;
  request.set_run(options.run);
  v1::GetRunResponse response;
  const auto context = collector.NewContext();
  RETURN_IF_ERROR(collector.Result(collector.stub().GetRun(context.get(), request, &response)));
  if (!options.team.empty()) RETURN_IF_ERROR(KeepTeam(options.team, &response));
  ASSIGN_OR_RETURN(const Format format, ParseFormat(options.format));
  if (format == Format::kJson) {
    console.out << ToJson(response, 2) << "\n";
    return ExitCode::kParity;
  }
  if (options.tokens || options.checkpoints) {
    const Table table = options.tokens ? TokenTable(response) : CheckpointTable(response);
    console.out << table.Render(format, console.width);
    return ExitCode::kParity;
  }
  google::protobuf::RepeatedPtrField<v1::Run> runs;
  *runs.Add() = response.run();
  console.out << CaptureTable(runs).Render(format, console.width);
  if (format == Format::kTable || format == Format::kMarkdown) {
    if (!response.run().note().empty()) {
      console.out << "\nnote: " << Printable(response.run().note()) << "\n";
    }
    console.out << "\n" << ProvenanceTable(response.run()).Render(format, console.width);
  }
  return ExitCode::kParity;
}

}  // namespace

void AddShowCommand(CLI::App& app, Invocation& invocation) {
  auto options = std::make_shared<ShowOptions>();
  CLI::App* command = app.add_subcommand("show", "Show one run, its tokens, or one tensor");
  command->add_option("RUN", options->run, "Name of the run")->required();
  command->add_option("--team", options->team, "Only this team")->type_name("TEAM");
  auto* tokens = command->add_flag("--tokens", options->tokens, "The tokens, by team and position");
  auto* checkpoints =
      command->add_flag("--checkpoints", options->checkpoints, "The checkpoints, in forward order");
  tokens->excludes(checkpoints);
  auto* position = command->add_option("--position", options->position, "Position of a tensor")
                       ->type_name("N")
                       ->check(serve::AtLeastZero());
  auto* checkpoint =
      command->add_option("--checkpoint", options->checkpoint, "Checkpoint of a tensor")
          ->type_name("NAME");
  for (CLI::Option* list : {tokens, checkpoints}) list->excludes(position)->excludes(checkpoint);
  command
      ->add_option("--values", options->values, "Values of the tensor to print; 0: all (default 8)")
      ->type_name("N")
      ->check(serve::AtLeastZero());
  AddFormatFlag(*command, {"table", "json", "jsonl", "csv", "md"}, &options->format);
  AddConnectionFlags(*command, &options->connection);
  command->footer(
      "Examples:\n"
      "  parity show prompt-1 --db parity.db\n"
      "  parity show prompt-1 --team worker-cpu --tokens --db parity.db --format csv\n"
      "  parity show prompt-1 --team worker-cpu --position 3 --checkpoint layer.0.attn.q_rope "
      "--db parity.db");
  command->callback(OnCollector(invocation, options, Access::kRead, &Show));
}

}  // namespace parity::cli
