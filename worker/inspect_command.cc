#include "worker/inspect_command.h"

#include <csignal>
#include <cstdio>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "proto/status/status_macros.h"
#include "worker/exit_code.h"
#include "worker/model/gguf_file.h"
#include "worker/model/inspect.h"

namespace parity::worker {
namespace {

constexpr char kExamples[] =
    "Examples:\n"
    "  parity-worker inspect model.gguf\n"
    "  parity-worker inspect model.gguf --format json";

struct Flags {
  std::string path;
  std::string format = "table";
};

absl::Status Inspect(const Flags& flags) {
  ASSIGN_OR_RETURN(const auto file, model::GgufFile::Open(flags.path));
  const std::string text =
      flags.format == "json" ? model::InspectJson(*file) : model::InspectText(*file);
  std::fwrite(text.data(), 1, text.size(), stdout);
  return absl::OkStatus();
}

}  // namespace

void AddInspectCommand(CLI::App& app, int& exit_code) {
  auto flags = std::make_shared<Flags>();
  CLI::App* command =
      app.add_subcommand("inspect", "Print a model's architecture, types, tensors and sha256");
  command->add_option("MODEL", flags->path, "GGUF file")->required();
  command->add_option("--format", flags->format, "table or json")
      ->check(CLI::IsMember({"table", "json"}))
      ->capture_default_str();
  command->footer(kExamples);
  command->callback([flags, &exit_code] {
    signal(SIGPIPE, SIG_DFL);  // as in `| head`: nothing is left to do
    const absl::Status status = Inspect(*flags);
    exit_code = ExitCode(status);
    if (!status.ok()) {
      std::fprintf(stderr, "parity-worker inspect: %s\n", std::string(status.message()).c_str());
    }
  });
}

}  // namespace parity::worker
