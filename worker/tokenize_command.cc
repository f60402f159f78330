#include "worker/tokenize_command.h"

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "proto/status/status_macros.h"
#include "worker/exit_code.h"
#include "worker/model/gguf_file.h"
#include "worker/tokenizer/tokenizer.h"

namespace parity::worker {
namespace {

constexpr char kExamples[] =
    "Examples:\n"
    "  parity-worker tokenize --model model.gguf --text 'Hello world'\n"
    "  parity-worker tokenize --model ggml-vocab-llama-bpe.gguf --file prompt.txt --no-special";

struct Flags {
  std::string model;
  std::string text;
  std::string file;
  bool no_special = false;
  bool no_parse = false;
};

absl::StatusOr<std::string> Input(const Flags& flags) {
  if (flags.file.empty()) return flags.text;
  errno = 0;
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(flags.file.c_str(), "rb"),
                                                             &std::fclose);
  std::string text(tokenizer::kMaxTextBytes + 1, '\0');  // one more: that is too long, and said so
  if (file != nullptr) text.resize(std::fread(text.data(), 1, text.size(), file.get()));
  if (file == nullptr || std::ferror(file.get()) != 0) {
    return absl::NotFoundError(
        absl::StrCat("cannot read ", flags.file, ": ", std::strerror(errno)));
  }
  return text;
}

absl::Status Tokenize(const Flags& flags) {
  ASSIGN_OR_RETURN(const auto file, model::GgufFile::Open(flags.model));
  ASSIGN_OR_RETURN(const auto tokenizer, tokenizer::Tokenizer::Create(*file));
  ASSIGN_OR_RETURN(const std::string text, Input(flags));
  size_t dropped_bytes = 0;
  ASSIGN_OR_RETURN(const std::vector<int32_t> ids,
                   tokenizer->Encode(text, {!flags.no_special, !flags.no_parse, &dropped_bytes}));
  if (dropped_bytes > 0) {
    std::fprintf(stderr, "parity-worker tokenize: %zu bytes have no token and were left out\n",
                 dropped_bytes);
  }
  std::printf("%s\n", absl::StrJoin(ids, " ").c_str());
  return absl::OkStatus();
}

}  // namespace

void AddTokenizeCommand(CLI::App& app, int& exit_code) {
  auto flags = std::make_shared<Flags>();
  CLI::App* command = app.add_subcommand("tokenize", "Print a text's token ids on one line");
  command->add_option("--model", flags->model, "GGUF file; its vocabulary is enough")->required();
  CLI::Option_group* input = command->add_option_group("input");
  input->add_option("--text", flags->text, "The text");
  input->add_option("--file", flags->file, "File that holds the text");
  input->require_option(1);
  command->add_flag("--no-special", flags->no_special, "Add no BOS or EOS");
  command->add_flag("--no-parse-special", flags->no_parse,
                    "Take control tokens written in the text as plain text");
  command->footer(kExamples);
  command->callback([flags, &exit_code] {
    signal(SIGPIPE, SIG_DFL);  // as in `| head`: nothing is left to do
    const absl::Status status = Tokenize(*flags);
    exit_code = ExitCode(status);
    if (!status.ok()) {
      std::fprintf(stderr, "parity-worker tokenize: %s\n", std::string(status.message()).c_str());
    }
  });
}

}  // namespace parity::worker
