#include "collector/cli/import_command.h"

#include <CLI/CLI.hpp>
#include <iostream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "collector/cli/alias_file.h"
#include "collector/cli/log_files.h"
#include "collector/cli/proto_json.h"
#include "collector/cli/text.h"
#include "proto/status/status_macros.h"

namespace parity::cli {
namespace {

struct ImportFlags {
  ConnectionOptions connection;
  std::string run, team, alias_file, model_sha256, format;
  std::vector<std::string> files;
  bool strict = false;
  bool replace = false;
};

absl::StatusOr<v1::ImportOptions> MakeOptions(const ImportFlags& flags, const LogFiles& files) {
  v1::ImportOptions options;
  options.set_run(flags.run);
  options.set_team(flags.team);
  options.set_strict(flags.strict);
  options.set_replace(flags.replace);
  options.set_model_sha256(flags.model_sha256);
  options.set_source_name(Printable(files.SourceName()));  // a file may have any name
  if (!flags.alias_file.empty()) {
    ASSIGN_OR_RETURN(const Aliases aliases, ReadAliasFile(flags.alias_file));
    options.mutable_aliases()->insert(aliases.begin(), aliases.end());
  }
  return options;
}

absl::Status SendLogs(const v1::ImportOptions& options, LogFiles& files,
                      const Connection& collector, const Console& console,
                      v1::ImportResponse* response) {
  Progress progress(console, "importing");
  const auto read = [&](const Connection::LogSink& sink) {
    return files.Read([&](absl::string_view piece) {
      progress.Add(static_cast<int64_t>(piece.size()));
      return sink(piece);
    });
  };
  return collector.Import(options, read, response);
}

void Print(const v1::ImportResponse& response, const ImportFlags& flags, const Console& console) {
  console.out << "run          " << flags.run << "\n"
              << "teams        " << Printable(absl::StrJoin(response.teams(), ", ")) << "\n"
              << "lines        " << response.lines() << " (" << HumanBytes(response.bytes())
              << ")\n"
              << "tensors      " << response.tensors() << "\n"
              << "superseded   " << response.superseded() << "\n"
              << "damaged      " << response.damaged() << "\n"
              << "NaN/Inf      " << response.non_finite() << "\n";
  if (response.unknown_checkpoints_size() > 0) {
    console.out << "unknown      " << Printable(absl::StrJoin(response.unknown_checkpoints(), ", "))
                << "\n";
  }
}

absl::StatusOr<ExitCode> Import(const ImportFlags& flags, Connection& collector,
                                const Console& console) {
  LogFiles files(flags.files, std::cin);
  RETURN_IF_ERROR(files.CheckReadable());
  ASSIGN_OR_RETURN(const v1::ImportOptions options, MakeOptions(flags, files));
  v1::ImportResponse response;
  const absl::Status status = SendLogs(options, files, collector, console, &response);
  if (!status.ok()) return absl::Status(status.code(), files.Locate(status.message()));
  for (std::string& line : *response.mutable_damage()) line = files.Locate(line);
  if (flags.format == "json") {
    console.out << ToJson(response, 2) << "\n";
  } else {
    Print(response, flags, console);
  }
  for (const std::string& line : response.damage()) console.Message(line);
  if (response.damaged() > response.damage_size()) {
    console.Message(absl::StrCat("... and ", response.damaged() - response.damage_size(),
                                 " more damaged lines"));
  }
  return response.damaged() > 0 ? ExitCode::kIncomplete : ExitCode::kParity;
}

// The files are looked at first: a misspelt name must not leave an empty database behind.
absl::StatusOr<ExitCode> OpenAndImport(const ImportFlags& flags, const Console& console) {
  RETURN_IF_ERROR(LogFiles(flags.files, std::cin).CheckReadable());
  if (!flags.alias_file.empty()) RETURN_IF_ERROR(ReadAliasFile(flags.alias_file).status());
  ASSIGN_OR_RETURN(const auto collector, Connection::Open(flags.connection, Access::kImport));
  return Import(flags, *collector, console);
}

}  // namespace

void AddImportCommand(CLI::App& app, Invocation& invocation) {
  auto flags = std::make_shared<ImportFlags>();
  CLI::App* command = app.add_subcommand("import", "Store JSONL logs as captures of a run");
  command->add_option("FILE", flags->files, "Logs, read as one; - is standard input")->required();
  command->add_option("--run", flags->run, "Run to import into; created when new")
      ->type_name("RUN")
      ->required();
  command->add_option("--team", flags->team, "Team to store under (default: the lines' own)")
      ->type_name("TEAM");
  command->add_flag("--strict", flags->strict, "Store nothing if a line is damaged");
  command->add_flag("--replace", flags->replace, "Replace a capture that is there already");
  command
      ->add_option("--alias-file", flags->alias_file,
                   "Lines 'PATTERN NAME' from other checkpoint names to Parity's; {i} is the layer")
      ->type_name("FILE");
  command->add_option("--model-sha256", flags->model_sha256, "Digest of the model, when known")
      ->type_name("HEX");
  AddFormatFlag(*command, {"table", "json"}, &flags->format);
  AddConnectionFlags(*command, &flags->connection);
  AddReserveFlag(*command, &flags->connection);
  command->footer(
      "Lines are {\"team\",\"checkpoint\",\"token_idx\",\"dtype\",\"shape\",\"values\"}; the last "
      "line of a\nteam, checkpoint and token wins. Exit code 3 when damaged lines were skipped.\n"
      "\n"
      "Examples:\n"
      "  parity import --run prompt-1 llama.jsonl worker.jsonl --db parity.db\n"
      "  parity import --run prompt-1 --team hf --alias-file hf-names.txt log.jsonl --db "
      "parity.db\n"
      "  zcat log.jsonl.gz | parity import --run big --strict - --collector 127.0.0.1:50052");
  command->callback([&invocation, flags] {
    invocation.run = [flags](const Console& console) { return OpenAndImport(*flags, console); };
  });
}

}  // namespace parity::cli
