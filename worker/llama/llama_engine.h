// llama.cpp's own libllama behind the Engine interface: the ground truth that other engines are
// held against.
#ifndef PARITY_WORKER_LLAMA_LLAMA_ENGINE_H_
#define PARITY_WORKER_LLAMA_LLAMA_ENGINE_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "kernels/dtype.h"
#include "worker/engine/engine.h"

namespace parity::llama {

struct LlamaOptions {
  int threads = 1;
  kernels::KvType kv_type = kernels::KvType::kF16;
  int32_t max_step_tokens = 256;
  // libllama or a folder that holds it or its lib/; empty: where the build found it, then where
  // deploy/fetch puts it, then where the loader looks. A process opens one, for good.
  std::string library;
};

// Runs on the CPU backend with flash attention off and without repacked weights, so that its
// kernels are the plain ones; llama.cpp's arithmetic is then bit-identical from run to run and for
// any thread count. Threading: the engine is thread-safe; steps of all sessions are served one at a
// time, in order of arrival. Observations come in libllama's graph order (v before k). Substituting
// observers are refused with UNIMPLEMENTED. Sessions must not outlive the engine.
class LlamaEngine {
 public:
  // Errors: those of GgufFile::Open (the file is proven sound before libllama reads it);
  // INVALID_ARGUMENT with libllama's own words when it does not load the model; NOT_FOUND naming
  // the places when there is no libllama; FAILED_PRECONDITION when it does not open, or is not what
  // this program was built for; UNIMPLEMENTED in a build without its headers.
  static absl::StatusOr<std::unique_ptr<engine::Engine>> Create(const std::string& path,
                                                                const LlamaOptions& options);
};

}  // namespace parity::llama

#endif  // PARITY_WORKER_LLAMA_LLAMA_ENGINE_H_
