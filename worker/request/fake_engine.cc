#include "worker/request/fake_engine.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "proto/status/status_macros.h"

namespace parity::request {

using checkpoint::Stage;

absl::StatusOr<std::vector<int32_t>> FakeTokenizer::Encode(
    absl::string_view text, const tokenizer::EncodeOptions& options) const {
  std::vector<int32_t> ids;
  for (const char c : text) {
    if (c != kNoToken) ids.push_back(static_cast<unsigned char>(c));
  }
  if (options.dropped_bytes != nullptr) *options.dropped_bytes = text.size() - ids.size();
  return ids;
}

absl::StatusOr<std::string> FakeTokenizer::Decode(absl::Span<const int32_t> ids,
                                                  bool print_special) const {
  std::string text;
  for (const int32_t id : ids) {
    if (id < 0 || id >= vocabulary()) {
      return absl::InvalidArgumentError(absl::StrCat("no token ", id));
    }
    text += Piece(id, print_special);
  }
  return text;
}

std::string FakeTokenizer::Piece(int32_t id, bool) const {
  if (id < kEnd) return std::string(1, static_cast<char>(id));
  const size_t index = static_cast<size_t>(id) - kFirstExtra;
  return id > kEnd && index < extra_.size() ? extra_[index] : "";
}

int32_t FakeTokenizer::vocabulary() const { return FakeEngine::kVocabulary; }

class FakeEngine::FakeSession final : public engine::Session {
 public:
  FakeSession(FakeEngine& engine, int32_t capacity) : engine_(engine), capacity_(capacity) {
    ++engine_.open_sessions;
  }
  ~FakeSession() override { --engine_.open_sessions; }

  absl::Status Forward(absl::Span<const int32_t> ids, const engine::ForwardOptions& options,
                       engine::Observer* observer, absl::Span<float> logits) override {
    if (position_ + static_cast<int32_t>(ids.size()) > capacity_) {
      return absl::OutOfRangeError("over capacity");
    }
    engine_.steps.push_back(options.prefill ? ids.size() : -static_cast<int>(ids.size()));
    const absl::Time end = absl::Now() + engine_.step_time;
    do {
      if (options.stop != nullptr && options.stop->load()) return absl::CancelledError("stopped");
      if (engine_.step_time > absl::ZeroDuration()) absl::SleepFor(absl::Milliseconds(1));
    } while (absl::Now() < end);
    for (size_t i = 0; i < ids.size(); ++i) {
      if (position_ + static_cast<int32_t>(i) == engine_.fail_at) {
        return absl::InternalError("the fake engine broke");
      }
    }
    if (observer != nullptr) RETURN_IF_ERROR(Show(ids, options.prefill, *observer));
    position_ += static_cast<int32_t>(ids.size());
    if (options.logits == engine::LogitsWanted::kLast) Logits(position_ - 1, logits);
    return absl::OkStatus();
  }
  int32_t position() const override { return position_; }
  int32_t capacity() const override { return capacity_; }

 private:
  void Logits(int32_t position, absl::Span<float> out) const {
    std::fill(out.begin(), out.end(), 0.0f);
    out[engine_.next(position)] = 1.0f;
  }

  absl::Status Show(absl::Span<const int32_t> ids, bool prefill, engine::Observer& observer) {
    RETURN_IF_ERROR(observer.BeginStep({position_, ids, prefill}));
    const int64_t rows = static_cast<int64_t>(ids.size());
    std::vector<float> x;
    for (int64_t i = 0; i < rows; ++i) {
      x.push_back(static_cast<float>(ids[i]));
      x.push_back(static_cast<float>(position_ + i));
    }
    if (observer.Wants(Stage::kEmbed, -1)) {
      RETURN_IF_ERROR(observer.Observe(Stage::kEmbed, -1, {absl::MakeSpan(x), rows, 2, 0}));
    }
    for (float& value : x) value += 1;
    if (observer.Wants(Stage::kLayerOut, 0)) {
      RETURN_IF_ERROR(observer.Observe(Stage::kLayerOut, 0, {absl::MakeSpan(x), rows, 2, 0}));
    }
    if (observer.Wants(Stage::kLogits, -1)) {
      std::vector<float> logits(rows * kVocabulary);
      for (int64_t i = 0; i < rows; ++i) {
        Logits(position_ + static_cast<int32_t>(i),
               absl::MakeSpan(logits).subspan(i * kVocabulary, kVocabulary));
      }
      RETURN_IF_ERROR(
          observer.Observe(Stage::kLogits, -1, {absl::MakeSpan(logits), rows, kVocabulary, 0}));
    }
    return observer.EndStep();
  }

  FakeEngine& engine_;
  const int32_t capacity_;
  int32_t position_ = 0;
};

FakeEngine::FakeEngine(int32_t context_tokens, int32_t max_step_tokens)
    : max_step_tokens_(max_step_tokens) {
  info_.engine = "fake";
  info_.layers = 1;
  info_.width = 2;
  info_.vocabulary = kVocabulary;
  info_.context_tokens = context_tokens;
  info_.checkpoints = {{Stage::kEmbed, -1}, {Stage::kLayerOut, 0}, {Stage::kLogits, -1}};
}

absl::StatusOr<std::unique_ptr<engine::Session>> FakeEngine::NewSession(int32_t capacity) {
  return std::unique_ptr<engine::Session>(new FakeSession(*this, capacity));
}

}  // namespace parity::request
