#include "collector/cli/generate_command.h"

#include <CLI/CLI.hpp>
#include <memory>
#include <string>
#include <vector>

#include "collector/cli/generate_request.h"
#include "collector/cli/generate_stream.h"
#include "proto/status/status_macros.h"

namespace parity::cli {
namespace {

struct GenerateOptions {
  std::string worker;
  std::string format;
  double timeout_seconds = 0;
  serve::TlsFiles tls;
  GenerateFlags request;
};

absl::StatusOr<ExitCode> Generate(const GenerateOptions& options, const Console& console) {
  ASSIGN_OR_RETURN(const v1::GenerateRequest request, MakeGenerateRequest(options.request));
  ASSIGN_OR_RETURN(const auto channel,
                   OpenChannel("worker", options.worker, options.tls, options.timeout_seconds));
  const auto stub = v1::Worker::NewStub(channel);
  grpc::ClientContext context;
  SetTimeout(options.timeout_seconds, &context);
  return StreamGenerate(request, options.format == "jsonl", *stub, context,
                        "worker at " + options.worker, console);
}

}  // namespace

void AddGenerateCommand(CLI::App& app, Invocation& invocation) {
  auto options = std::make_shared<GenerateOptions>();
  CLI::App* command =
      app.add_subcommand("generate", "Generate on a running worker, text to standard output");
  command->add_option("--worker", options->worker, "Worker, HOST:PORT or unix:PATH")
      ->type_name("ADDR")
      ->required();
  AddGenerateFlags(*command, &options->request);
  AddFormatFlag(*command, {"text", "jsonl"}, &options->format);
  AddChannelFlags(*command, &options->tls, &options->timeout_seconds);
  command->footer(
      "Exit code: 3 when generation failed or the capture is incomplete, 4 when the worker is "
      "busy\n"
      "or away or time is up. Ctrl-C cancels the call.\n"
      "\n"
      "Examples:\n"
      "  parity generate --worker 127.0.0.1:50051 --prompt 'The capital of France is'\n"
      "  parity generate --worker 127.0.0.1:50051 --tokens 504,3575 --force 282,4649 \\\n"
      "      --run prompt-1 --team worker-cpu --capture full\n"
      "  parity generate --worker 127.0.0.1:50051 --shadow prompt-1/llama.cpp --run prompt-1 \\\n"
      "      --team worker-cpu-shadow --capture full");
  command->callback([&invocation, options] {
    invocation.run = [options](const Console& console) { return Generate(*options, console); };
  });
}

}  // namespace parity::cli
