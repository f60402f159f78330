// An engine and a tokenizer whose every output is known beforehand, for tests of what is built on
// them.
#ifndef PARITY_WORKER_REQUEST_FAKE_ENGINE_H_
#define PARITY_WORKER_REQUEST_FAKE_ENGINE_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "worker/engine/engine.h"
#include "worker/tokenizer/tokenizer.h"

namespace parity::request {

// Tokens 0..255 are bytes, 256 ends a generation, 257.. are `extra` pieces in order.
class FakeTokenizer final : public tokenizer::Tokenizer {
 public:
  explicit FakeTokenizer(std::vector<std::string> extra = {}) : extra_(std::move(extra)) {}
  static constexpr int32_t kEnd = 256;
  static constexpr char kNoToken = '\x7f';  // the one byte no token stands for
  static constexpr int32_t kFirstExtra = 257;

  absl::StatusOr<std::vector<int32_t>> Encode(
      absl::string_view text, const tokenizer::EncodeOptions& options) const override;
  absl::StatusOr<std::string> Decode(absl::Span<const int32_t> ids,
                                     bool print_special) const override;
  std::string Piece(int32_t id, bool print_special) const override;
  int32_t vocabulary() const override;
  const std::vector<int32_t>& end_of_generation_ids() const override { return end_; }
  bool IsEndOfGeneration(int32_t id) const override { return id == kEnd; }

 private:
  const std::vector<std::string> extra_;
  const std::vector<int32_t> end_ = {kEnd};
};

// Computes embed [2] = {id, position}, layer.0.out [2] = embed + 1, and logits [V]: 0 everywhere, 1
// at Next(position).
class FakeEngine final : public engine::Engine {
 public:
  static constexpr int32_t kVocabulary = 300;

  explicit FakeEngine(int32_t context_tokens = 64, int32_t max_step_tokens = 8);

  // Which token follows the one at `position`. Set before use.
  std::function<int32_t(int32_t position)> next = [](int32_t) { return 'a'; };
  absl::Duration step_time =
      absl::ZeroDuration();          // honours ForwardOptions.stop within a millisecond
  std::atomic<int32_t> fail_at{-1};  // INTERNAL when this position is fed
  std::atomic<int> open_sessions{0};

  // Sizes of the steps so far, in order; negative for decode steps. Read while nothing runs.
  std::vector<int> steps;

  const engine::EngineInfo& info() const override { return info_; }
  int32_t max_step_tokens() const override { return max_step_tokens_; }
  bool can_substitute() const override { return true; }
  absl::StatusOr<std::unique_ptr<engine::Session>> NewSession(int32_t capacity) override;

 private:
  class FakeSession;
  engine::EngineInfo info_;
  const int32_t max_step_tokens_;
};

}  // namespace parity::request

#endif  // PARITY_WORKER_REQUEST_FAKE_ENGINE_H_
