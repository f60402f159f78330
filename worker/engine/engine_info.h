// What every engine says of itself and asks of its callers, written once.
#ifndef PARITY_WORKER_ENGINE_ENGINE_INFO_H_
#define PARITY_WORKER_ENGINE_ENGINE_INFO_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "kernels/backend.h"
#include "kernels/dtype.h"
#include "worker/engine/engine.h"
#include "worker/model/gguf_file.h"
#include "worker/model/model_config.h"

namespace parity::engine {

// Info of an engine over `backend`; engine_version and resident_weight_bytes are left to the
// caller.
EngineInfo DescribeEngine(const model::GgufFile& file, const model::ModelConfig& config,
                          const kernels::Backend& backend, kernels::KvType kv_type);

// "f16" or "f32".
std::string KvTypeName(kernels::KvType type);

// Precision of the activations in a native product with weights of `weight_type` ("Q4_1"): "int8",
// "f16", "bf16", "f32".
std::string NativeActivationPrecision(const std::string& weight_type);

// Session::Forward's argument errors: INVALID_ARGUMENT (no ids, more than max_step_tokens, an id
// outside the vocabulary, named by index), OUT_OF_RANGE (position + ids over capacity).
absl::Status CheckStep(absl::Span<const int32_t> ids, int32_t position, int32_t capacity,
                       int32_t max_step_tokens, int32_t vocabulary);

// INVALID_ARGUMENT unless capacity is in 1..context_tokens.
absl::Status CheckCapacity(int32_t capacity, int32_t context_tokens);

}  // namespace parity::engine

#endif  // PARITY_WORKER_ENGINE_ENGINE_INFO_H_
