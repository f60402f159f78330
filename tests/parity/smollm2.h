// The real model of the parity tests: SmolLM2-135M-Instruct Q4_1, three prompts, and libllama's
// account of them.
#ifndef PARITY_TESTS_PARITY_SMOLLM2_H_
#define PARITY_TESTS_PARITY_SMOLLM2_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "kernels/cpu/cpu_backend.h"
#include "kernels/dtype.h"
#include "tests/parity/follow.h"
#include "worker/engine/engine.h"
#include "worker/engine/recorder.h"
#include "worker/model/gguf_file.h"

namespace parity::testing {

inline constexpr int kPrompts = 3;
inline constexpr const char* kPromptNames[kPrompts] = {"English", "code", "UTF-8"};

// 64 ids: a prompt of 40, then 24 forced tokens. REQUIRES: 0 <= prompt < kPrompts.
Sequence SmolLM2Sequence(int prompt);

// ${XDG_CACHE_HOME:-$HOME/.cache}/parity/SmolLM2-135M-Instruct.Q4_1.gguf.
std::string SmolLM2Path();

// Why the tests that need model and libllama cannot run here; empty when they can.
std::string WhyNoSmolLM2();

// libllama's full capture of a prompt, computed once in a process. F16 KV cache.
// REQUIRES: WhyNoSmolLM2() is empty.
const engine::Recording& LlamaCapture(int prompt);

// The cpu engine on a file (the model itself when null).
absl::StatusOr<std::unique_ptr<engine::Engine>> CpuEngine(
    const kernels::CpuOptions& options, kernels::KvType kv_type = kernels::KvType::kF16,
    std::shared_ptr<const model::GgufFile> file = nullptr);

}  // namespace parity::testing

#endif  // PARITY_TESTS_PARITY_SMOLLM2_H_
