#include "worker/run_command.h"

#include <cstdio>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "parity/v1/worker.pb.h"
#include "proto/serve/command_line.h"
#include "proto/serve/shutdown.h"
#include "proto/status/status_macros.h"
#include "proto/text/capture_choice.h"
#include "worker/capture_flags.h"
#include "worker/exit_code.h"
#include "worker/loaded_model.h"
#include "worker/request/generator.h"
#include "worker/request/stop_signal.h"

namespace parity::worker {
namespace {

constexpr char kExamples[] =
    "Examples:\n"
    "  parity-worker run --model model.gguf --prompt 'Hello' --max-tokens 32\n"
    "  parity-worker run --model model.gguf --tokens 1,2,3 --force 4,5,6 --log-file out.jsonl\n"
    "  parity-worker run --model model.gguf --prompt 'Hello' --run demo --team mine \\\n"
    "      --collector 127.0.0.1:50052 --capture 'layer.*.attn.q_rope,logits'\n"
    "  parity-worker run --model model.gguf --shadow demo/llama.cpp --collector 127.0.0.1:50052\n"
    "Text goes to stdout, a summary to stderr. Exit codes: 0 done, 2 bad input, 3 cancelled, "
    "failed\n"
    "or the capture is incomplete, 4 unavailable, 5 a log could not be written, 6 the card failed.";

struct Flags {
  ModelFlags model;
  CaptureFlags capture;
  std::string capture_spec;
  int64_t capture_values = 0;
  bool quiet = false;
  v1::GenerateRequest request;
  std::string tokens;  // 1,2,3
  std::string forced;
  std::vector<std::string> stop;
};

// Prints text as it comes, and keeps the last event.
class Printer final : public request::EventSink {
 public:
  Printer(bool has_text, bool quiet) : has_text_(has_text), quiet_(quiet) {}

  bool Send(const v1::GenerateEvent& event) override {
    if (event.has_started()) Start(event.started());
    if (event.has_token()) Print(event.token());
    if (event.has_finished()) finished_ = event.finished();
    return true;
  }

  void EndLine() {
    if (!quiet_ && last_ != '\n') std::fputc('\n', stdout);
    std::fflush(stdout);
  }

  const v1::GenerateEvent::Finished& finished() const { return finished_; }
  const std::string& capture() const { return capture_; }

 private:
  void Start(const v1::GenerateEvent::Started& started) {
    capture_ = started.capture();
    if (started.dropped_prompt_bytes() > 0) {
      std::fprintf(stderr, "parity-worker run: %s\n",
                   absl::StrCat(started.dropped_prompt_bytes(),
                                " bytes of the prompt have no token and were left out")
                       .c_str());
    }
  }

  void Print(const v1::GenerateEvent::TokenChosen& token) {
    if (quiet_) return;
    // Without a tokenizer the ids are what there is.
    const std::string text = has_text_ ? token.text() : absl::StrCat(token.id(), " ");
    if (text.empty()) return;
    std::fwrite(text.data(), 1, text.size(), stdout);
    std::fflush(stdout);
    last_ = text.back();
  }

  const bool has_text_;
  const bool quiet_;
  char last_ = '\0';
  std::string capture_;
  v1::GenerateEvent::Finished finished_;
};

std::string Rate(int64_t tokens, int64_t nanos) {
  if (tokens <= 0 || nanos <= 0) return absl::StrCat(tokens, " tokens");
  const double seconds = static_cast<double>(nanos) * 1e-9;
  return absl::StrFormat("%d tokens in %.3f s (%.1f tokens/s)", tokens, seconds,
                         static_cast<double>(tokens) / seconds);
}

std::string ReasonName(v1::FinishReason reason) {
  return v1::FinishReason_Name(reason).substr(sizeof("FINISH_REASON_") - 1);
}

std::string Summary(const Printer& printer, int64_t forced) {
  const v1::GenerateEvent::Finished& finished = printer.finished();
  // The last chosen token is fed only when it was forced.
  const int64_t generated = finished.generated_tokens();
  const int64_t fed = forced >= generated ? generated : generated - 1;
  std::string text =
      absl::StrCat("prefill ", Rate(finished.prompt_tokens(), finished.prefill_nanos()),
                   "; decode ", Rate(fed, finished.decode_nanos()), "; ", generated,
                   " chosen, ended by ", ReasonName(finished.reason()));
  if (finished.has_capture()) {
    const v1::CaptureCounts& counts = finished.capture();
    const bool complete = finished.capture_status() == v1::CAPTURE_STATUS_COMPLETE;
    absl::StrAppend(&text, "; capture ", printer.capture(), printer.capture().empty() ? "" : " ",
                    complete ? "COMPLETE" : "INCOMPLETE", ": ", counts.captured(), " tensors, ",
                    counts.acked(), " acked, ", counts.dropped(), " dropped, waited ",
                    absl::StrFormat("%.3f s", finished.capture_wait_nanos() * 1e-9));
  }
  if (!finished.message().empty()) absl::StrAppend(&text, "; ", finished.message());
  return text;
}

absl::Status FillRequest(Flags& flags) {
  v1::GenerateRequest& request = flags.request;
  ASSIGN_OR_RETURN(const auto tokens, serve::ParseTokenIds("--tokens", flags.tokens));
  ASSIGN_OR_RETURN(const auto forced, serve::ParseTokenIds("--force", flags.forced));
  request.mutable_token_ids()->Add(tokens.begin(), tokens.end());
  request.mutable_forced_token_ids()->Add(forced.begin(), forced.end());
  for (const std::string& stop : flags.stop) request.add_stop(stop);
  const bool by_default =
      flags.capture_spec.empty() && !flags.capture.collector.empty() && request.shadow().empty();
  const std::string spec = by_default ? "full" : flags.capture_spec;
  if (spec.empty()) return absl::OkStatus();
  *request.mutable_capture() = text::ParseCaptureChoice(spec);
  request.mutable_capture()->set_max_elements(flags.capture_values);
  // A log has no runs: any name will do.
  if (request.run().empty() && flags.capture.collector.empty()) request.set_run("log");
  return absl::OkStatus();
}

int ExitCodeOf(const v1::GenerateEvent::Finished& finished) {
  const bool failed = finished.reason() == v1::FINISH_REASON_ERROR ||
                      finished.reason() == v1::FINISH_REASON_CANCELLED ||
                      finished.reason() == v1::FINISH_REASON_DEADLINE;
  const bool incomplete =
      finished.has_capture() && finished.capture_status() != v1::CAPTURE_STATUS_COMPLETE;
  return failed || incomplete ? kExitIncomplete : kExitOk;
}

absl::StatusOr<int> Run(Flags& flags) {
  RETURN_IF_ERROR(FillRequest(flags));
  bool broken = false;  // the generation that ends with it says why
  ASSIGN_OR_RETURN(const auto store, OpenStore(flags.capture));
  ASSIGN_OR_RETURN(const auto log, OpenLog(flags.capture));
  ASSIGN_OR_RETURN(const LoadedModel model,
                   LoadModel(flags.model, [&broken](const absl::Status&) { broken = true; }));
  request::Served served = model.Serve();
  served.store = store.get();
  served.log = log.get();
  request::Generator generator(std::move(served), /*max_sessions=*/1);
  request::StopSignal stop;
  Printer printer(model.tokenizer != nullptr, flags.quiet);
  {
    serve::ShutdownWatcher watcher([&stop] { stop.Stop(v1::FINISH_REASON_CANCELLED); });
    RETURN_IF_ERROR(generator.Generate(flags.request, stop, printer));
  }
  printer.EndLine();
  std::fprintf(stderr, "%s\n", Summary(printer, flags.request.forced_token_ids_size()).c_str());
  if (broken) return kExitDevice;
  if (log != nullptr && !log->Flush().ok()) return kExitStorage;  // the summary says why
  return ExitCodeOf(printer.finished());
}

// Numbers of the request message, bound by callbacks since protobuf fields have no address.
template <typename T>
CLI::Option* AddField(CLI::App& command, const std::string& name,
                      void (v1::GenerateRequest::*set)(T), v1::GenerateRequest& request,
                      const std::string& help) {
  return command.add_option_function<T>(
      name, [set, &request](const T& value) { (request.*set)(value); }, help);
}

void AddSamplingFlags(CLI::App& command, Flags& flags) {
  using Request = v1::GenerateRequest;
  Request& request = flags.request;
  AddField(command, "--max-tokens", &Request::set_max_tokens, request,
           "Most tokens to generate (default: as many as are forced, else 16)");
  AddField(command, "--temperature", &Request::set_temperature, request, "0 (default): greedy");
  AddField(command, "--top-k", &Request::set_top_k, request, "Likeliest tokens kept; 0: all");
  AddField(command, "--top-p", &Request::set_top_p, request, "Probability kept; 0 or 1: all");
  AddField(command, "--min-p", &Request::set_min_p, request,
           "Drop tokens below this share of the likeliest one");
  AddField(command, "--seed", &Request::set_seed, request, "Seed of the sampler")
      ->check(serve::AtLeastZero());  // -1 would be taken for 2^64 - 1
  command.add_option("--stop", flags.stop, "End before this text; may be given several times")
      ->allow_extra_args(false);
  command.add_flag_callback(
      "--ignore-eos", [&request] { request.set_ignore_eos(true); },
      "Go on after an end-of-generation token");
  AddField(command, "--prefill-step", &Request::set_prefill_tokens_per_step, request,
           "Prompt tokens per step (default: --step-tokens)");
}

void AddText(CLI::App& command, const std::string& name,
             std::string* (*field)(v1::GenerateRequest&), v1::GenerateRequest& request,
             const std::string& help) {
  command.add_option_function<std::string>(
      name, [field, &request](const std::string& text) { *field(request) = text; }, help);
}

}  // namespace

void AddRunCommand(CLI::App& app, int& exit_code) {
  auto flags = std::make_shared<Flags>();
  CLI::App* command = app.add_subcommand("run", "Generate once, in this process");
  AddModelFlags(*command, flags->model);
  using Request = v1::GenerateRequest;
  Request& request = flags->request;
  AddText(
      *command, "--prompt", [](Request& r) { return r.mutable_prompt(); }, request, "Prompt text");
  command->add_option("--tokens", flags->tokens, "Prompt as token ids: 1,2,3");
  command->add_option("--force", flags->forced, "Continuation to follow: 4,5,6");
  AddSamplingFlags(*command, *flags);
  AddCaptureFlags(*command, flags->capture);
  command->add_option("--capture", flags->capture_spec,
                      "logits, layers, full, or globs: 'layer.*.out,logits' (default: full with "
                      "--collector, logits with a log alone)");
  command->add_option("--capture-values", flags->capture_values,
                      "Elements kept of each tensor, 0 (default) for all");
  AddText(
      *command, "--run", [](Request& r) { return r.mutable_run(); }, request,
      "Run the capture belongs to");
  AddText(
      *command, "--team", [](Request& r) { return r.mutable_team(); }, request,
      "Team of the capture (default: worker-ENGINE)");
  AddText(
      *command, "--note", [](Request& r) { return r.mutable_note(); }, request,
      "Note kept with the run");
  AddText(
      *command, "--shadow", [](Request& r) { return r.mutable_shadow(); }, request,
      "RUN/TEAM to shadow: every op reads what that team recorded");
  AddText(
      *command, "--follow", [](Request& r) { return r.mutable_follow(); }, request,
      "RUN/TEAM whose prompt and continuation to feed again, computing freely");
  command->add_flag("--quiet", flags->quiet, "Print no text, only the summary");
  command->footer(kExamples);
  command->callback([flags, &exit_code] {
    const absl::StatusOr<int> code = Run(*flags);
    exit_code = code.ok() ? *code : ExitCode(code.status());
    if (!code.ok()) {
      std::fprintf(stderr, "parity-worker run: %s\n", std::string(code.status().message()).c_str());
    }
  });
}

}  // namespace parity::worker
