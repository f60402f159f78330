// The engine of a build without libllama: it says how to get one.
#include "absl/status/status.h"
#include "worker/llama/llama_engine.h"

namespace parity::llama {

absl::StatusOr<std::unique_ptr<engine::Engine>> LlamaEngine::Create(const std::string& path,
                                                                    const LlamaOptions& options) {
  return absl::UnimplementedError(
      "this build has no libllama; run deploy/fetch llama and build again");
}

}  // namespace parity::llama
