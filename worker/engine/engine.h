// A loaded model that computes logits, whatever computes them: our forward pass on a backend, or
// libllama.
#ifndef PARITY_WORKER_ENGINE_ENGINE_H_
#define PARITY_WORKER_ENGINE_ENGINE_H_

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "kernels/top_k.h"
#include "proto/checkpoint/name.h"
#include "worker/engine/observer.h"

namespace parity::engine {

// What a capture's provenance and GetModel say of an engine. Plain data.
struct EngineInfo {
  std::string engine;  // "cpu", "cuda", "llama"
  std::string engine_version;
  std::string architecture;          // "llama"
  std::string weight_type;           // dominant by bytes, "Q4_1"
  std::string kv_type;               // "f16", "f32"
  std::string activation_precision;  // "int8", "f16", "bf16", "f32"
  std::string attention;             // "plain"
  std::string numerics;              // "native", "f32"
  std::string compute_path;          // "avx2"
  int threads = 0;
  int32_t layers = 0;
  int32_t width = 0;
  int32_t heads = 0;
  int32_t kv_heads = 0;
  int32_t head_size = 0;
  int32_t feed_forward = 0;
  int32_t vocabulary = 0;
  int32_t context_tokens = 0;         // the model's own limit
  int64_t resident_weight_bytes = 0;  // beside the mapped file
  // Checkpoints this model computes, in forward order.
  std::vector<checkpoint::Name> checkpoints;
  std::map<std::string, std::string> extra;
};

// The largest logits of a row and its sum of exponentials, in place of the row.
using TopLogits = kernels::TopValues;
inline constexpr int32_t kMostTopLogits = kernels::kMostTopK;
// Those of a row in the host's memory. REQUIRES: k >= 1.
inline TopLogits TopLogitsOf(absl::Span<const float> row, int32_t k) {
  return kernels::TopOf(row, k);
}

enum class LogitsWanted : uint8_t {
  kNone,  // a prefill piece that is not the last
  kLast,  // of the last row
};

struct ForwardOptions {
  LogitsWanted logits = LogitsWanted::kLast;
  bool prefill = false;  // what Step.prefill says
  // Set to stop: checked at least between layers; Forward then returns CANCELLED and the session is
  // spent.
  const std::atomic<bool>* stop = nullptr;
};

// One sequence with its KV cache. Threading: one thread at a time; sessions of one engine may be
// used from several threads. Forward calls that wait at the same time may be computed together; no
// bit depends on it.
class Session {
 public:
  virtual ~Session() = default;

  // Feeds ids at positions [position(), position() + ids.size()). With kLast, writes the last row's
  // logits to `logits` (size V), else leaves it alone. observer may be null; it sees one step or
  // several, as the engine cuts the ids. An error is this session's alone. Errors:
  // INVALID_ARGUMENT (no ids, an id outside the vocabulary), OUT_OF_RANGE (capacity), CANCELLED,
  // and whatever the observer returned. After an error of the last two kinds the session must not
  // be used again.
  virtual absl::Status Forward(absl::Span<const int32_t> ids, const ForwardOptions& options,
                               Observer* observer, absl::Span<float> logits) = 0;

  // Forward(), but leaves the k largest logits of the last row in `top`: the row need not leave a
  // card. `row` (size V) is room that may be used for it; it means nothing afterwards. REQUIRES:
  // options.logits is kLast, 1 <= k <= kMostTopLogits.
  virtual absl::Status ForwardTop(absl::Span<const int32_t> ids, const ForwardOptions& options,
                                  Observer* observer, absl::Span<float> row, int32_t k,
                                  TopLogits& top) {
    const absl::Status status = Forward(ids, options, observer, row);
    if (status.ok()) top = TopLogitsOf(row, k);
    return status;
  }

  virtual int32_t position() const = 0;  // tokens fed so far
  virtual int32_t capacity() const = 0;  // most tokens it can hold
};

// Threading: thread-safe.
class Engine {
 public:
  virtual ~Engine() = default;
  virtual const EngineInfo& info() const = 0;
  // Most tokens Forward takes at once (its activation buffers); longer spans are INVALID_ARGUMENT.
  virtual int32_t max_step_tokens() const = 0;
  // Whether observers that substitute are honoured; if not, Forward with one is UNIMPLEMENTED.
  virtual bool can_substitute() const = 0;
  // RESOURCE_EXHAUSTED with required bytes when memory is short; INVALID_ARGUMENT when capacity is
  // not in 1..context_tokens.
  virtual absl::StatusOr<std::unique_ptr<Session>> NewSession(int32_t capacity) = 0;
};

}  // namespace parity::engine

#endif  // PARITY_WORKER_ENGINE_ENGINE_H_
