// A model file with the engine and the tokenizer that the flags ask for.
#ifndef PARITY_WORKER_LOADED_MODEL_H_
#define PARITY_WORKER_LOADED_MODEL_H_

#include <CLI/CLI.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "worker/engine/engine.h"
#include "worker/model/gguf_file.h"
#include "worker/request/request_plan.h"
#include "worker/tokenizer/tokenizer.h"

namespace parity::worker {

struct ModelFlags {
  std::string path;
  std::string engine = "cpu";
  std::string numerics = "native";
  std::string kv;                // empty: f16, or f32 with numerics f32
  int threads = 0;               // 0: one a core
  int32_t context_tokens = 0;    // 0: the model's own
  int32_t step_tokens = 256;     // most tokens of one engine step
  int device = 0;                // engine cuda: as the driver counts cards
  int64_t gpu_memory_limit = 0;  // engine cuda: most bytes of the card; 0: all that is free
  std::string llama_library;     // engine llama: see LlamaOptions; empty: looked for
};

// Adds --model, --engine, --numerics, --kv, --threads, --context, --step-tokens, --device,
// --gpu-memory-limit and --llama-library. `flags` must outlive the app.
void AddModelFlags(CLI::App& app, ModelFlags& flags);

struct LoadedModel {
  std::shared_ptr<const model::GgufFile> file;
  std::unique_ptr<tokenizer::Tokenizer> tokenizer;  // null: tokenizer_status says why
  absl::Status tokenizer_status;
  std::unique_ptr<engine::Engine> engine;
  int32_t context_tokens = 0;

  // What the request room needs; valid while the model lives. Reads the whole file once, for its
  // digest.
  request::Served Serve() const;
};

// Errors name the file, and what was found and expected. UNIMPLEMENTED: an engine, architecture or
// type that this build lacks. on_broken is called once, on the thread that notices, when the card
// of engine cuda has failed for good; every Generate call ends with its error then.
absl::StatusOr<LoadedModel> LoadModel(const ModelFlags& flags,
                                      std::function<void(const absl::Status&)> on_broken);

}  // namespace parity::worker

#endif  // PARITY_WORKER_LOADED_MODEL_H_
