#include "worker/loaded_model.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <functional>
#include <thread>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "kernels/cpu/cpu_backend.h"
#include "kernels/cuda/cuda_factory.h"
#include "kernels/dtype.h"
#include "proto/status/status_macros.h"
#include "proto/text/utf8.h"
#include "worker/engine/backend_engine.h"
#include "worker/llama/llama_engine.h"

namespace parity::worker {
namespace {

int Threads(const ModelFlags& flags) {
  if (flags.threads > 0) return flags.threads;
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

kernels::KvType KvTypeOf(const ModelFlags& flags) {
  const std::string kv = !flags.kv.empty() ? flags.kv : flags.numerics == "f32" ? "f32" : "f16";
  return kv == "f32" ? kernels::KvType::kF32 : kernels::KvType::kF16;
}

kernels::Numerics NumericsOf(const ModelFlags& flags) {
  return flags.numerics == "f32" ? kernels::Numerics::kF32 : kernels::Numerics::kNative;
}

// Never another engine than the one asked for: what a card refuses is an error.
absl::StatusOr<std::unique_ptr<kernels::Backend>> NewBackend(
    const ModelFlags& flags, std::function<void(const absl::Status&)> on_broken) {
  if (flags.engine == "cuda") {
    kernels::cuda::CudaOptions options;
    options.device = flags.device;
    options.memory_limit = flags.gpu_memory_limit;
    options.numerics = NumericsOf(flags);
    options.on_broken = std::move(on_broken);
    options.on_plan = [](const std::string& plan) {
      std::fprintf(stderr, "parity-worker: %s\n", plan.c_str());
    };
    return kernels::cuda::CreateCudaBackend(options);
  }
  kernels::CpuOptions options;
  options.threads = Threads(flags);
  options.numerics = NumericsOf(flags);
  ASSIGN_OR_RETURN(std::unique_ptr<kernels::Backend> backend, kernels::CpuBackend::Create(options));
  return backend;
}

absl::StatusOr<std::unique_ptr<engine::Engine>> NewEngine(
    const ModelFlags& flags, std::shared_ptr<const model::GgufFile> file,
    std::function<void(const absl::Status&)> on_broken) {
  if (flags.engine == "llama") {
    if (flags.numerics != "native") {
      return absl::InvalidArgumentError("--numerics f32 needs --engine cpu or cuda");
    }
    return llama::LlamaEngine::Create(flags.path, {.threads = Threads(flags),
                                                   .kv_type = KvTypeOf(flags),
                                                   .max_step_tokens = flags.step_tokens,
                                                   .library = flags.llama_library});
  }
  ASSIGN_OR_RETURN(std::unique_ptr<kernels::Backend> backend,
                   NewBackend(flags, std::move(on_broken)));
  engine::EngineOptions engine_options;
  engine_options.kv_type = KvTypeOf(flags);
  engine_options.max_step_tokens = flags.step_tokens;
  return engine::BackendEngine::Create(std::move(file), std::move(backend), engine_options);
}

std::string HostName() {
  char name[256] = {};
  return gethostname(name, sizeof(name) - 1) == 0 ? name : "";
}

}  // namespace

void AddModelFlags(CLI::App& app, ModelFlags& flags) {
  app.add_option("--model", flags.path, "GGUF file of the model")->required();
  app.add_option("--engine", flags.engine, "What computes: cpu, cuda or llama")
      ->check(CLI::IsMember({"cpu", "cuda", "llama"}))
      ->capture_default_str();
  app.add_option("--numerics", flags.numerics,
                 "native: as llama.cpp computes on a CPU (cuda: int8 or half activations); f32: "
                 "weights exact, sums in double")
      ->check(CLI::IsMember({"native", "f32"}))
      ->capture_default_str();
  app.add_option("--kv", flags.kv, "Type of the KV cache (default: f16; f32 with --numerics f32)")
      ->check(CLI::IsMember({"f16", "f32"}));
  app.add_option("--threads", flags.threads, "Threads to compute with (default: one a core)")
      ->check(CLI::Range(1, 1024));
  app.add_option("--context", flags.context_tokens,
                 "Longest sequence in tokens (default: the model's own limit)")
      ->check(CLI::Range(1, 1 << 30));
  app.add_option("--step-tokens", flags.step_tokens, "Most prompt tokens computed at once")
      ->check(CLI::Range(1, 65536))
      ->capture_default_str();
  app.add_option("--device", flags.device, "Card of --engine cuda, as the driver counts them")
      ->check(CLI::Range(0, 1023))
      ->capture_default_str();
  app.add_option("--gpu-memory-limit", flags.gpu_memory_limit,
                 "Most memory of the card to take, such as 8GiB (default: all that is free)")
      ->transform(CLI::AsSizeValue(false));
  app.add_option("--llama-library", flags.llama_library,
                 "Libllama of --engine llama: the file or its folder, such as "
                 "\"$(deploy/fetch llama)\" (default: where the build found it, else the user's "
                 "cache, else the system's)")
      ->envname("PARITY_LLAMA_LIBRARY");
}

request::Served LoadedModel::Serve() const {
  request::Served served;
  served.engine = engine.get();
  served.tokenizer = tokenizer.get();
  served.tokenizer_status = tokenizer_status;
  // A file may have any name, a message holds UTF-8.
  const std::string& name = file->name();
  served.model_name = text::IsUtf8(name) ? name : absl::CHexEscape(name);
  served.model_sha256 = file->sha256();
  served.context_tokens = context_tokens;
  served.host = HostName();
  return served;
}

absl::StatusOr<LoadedModel> LoadModel(const ModelFlags& flags,
                                      std::function<void(const absl::Status&)> on_broken) {
  LoadedModel loaded;
  loaded.context_tokens = flags.context_tokens;
  ASSIGN_OR_RETURN(loaded.file, model::GgufFile::Open(flags.path));
  auto tokenizer = tokenizer::Tokenizer::Create(*loaded.file);
  loaded.tokenizer_status = tokenizer.status();
  if (tokenizer.ok()) loaded.tokenizer = *std::move(tokenizer);
  ASSIGN_OR_RETURN(loaded.engine, NewEngine(flags, loaded.file, std::move(on_broken)));
  return loaded;
}

}  // namespace parity::worker
