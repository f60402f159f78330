#include "worker/request/generation.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "proto/status/status_macros.h"

namespace parity::request {

Generation::Generation(GenerationJob job, GenerationTools tools)
    : job_(std::move(job)),
      tools_(std::move(tools)),
      sampler_(job_.sampler),
      text_(job_.stop),
      logits_(tools_.vocabulary) {}

v1::GenerateEvent::Finished Generation::Run() {
  finished_.set_prompt_tokens(static_cast<int32_t>(job_.prompt_ids.size()));
  absl::Status status = Prefill();
  if (status.ok()) status = Decode();
  if (tools_.stop.flag()) {
    End(tools_.stop.reason());
  } else if (!status.ok()) {
    End(v1::FINISH_REASON_ERROR, std::string(status.message()));
  }
  return finished_;
}

void Generation::End(v1::FinishReason reason, std::string message) {
  finished_.set_reason(reason);
  finished_.set_message(std::move(message));
}

absl::Status Generation::Prefill() {
  const absl::Span<const int32_t> ids = job_.prompt_ids;
  const int64_t piece = PieceTokens();
  for (size_t begin = 0; begin < ids.size(); begin += piece) {
    const absl::Span<const int32_t> step = ids.subspan(begin, piece);
    RETURN_IF_ERROR(Feed(step, /*prefill=*/true, begin + step.size() == ids.size() ? 0 : -1));
  }
  return absl::OkStatus();
}

int64_t Generation::PieceTokens() const {
  int64_t tokens = std::max(job_.step_tokens, 1);
  if (job_.capture_bytes_per_token == 0) return tokens;
  for (const capture::FrameSink* sink : tools_.sinks) {
    // Half the queue: the other half is on its way while the next piece is computed.
    tokens = std::min(tokens, sink->capacity_bytes() / 2 / job_.capture_bytes_per_token);
  }
  return std::max<int64_t>(tokens, 1);
}

absl::Status Generation::Decode() {
  if (job_.max_tokens == 0) {
    End(v1::FINISH_REASON_LENGTH, "nothing to generate");
    return absl::OkStatus();
  }
  bool done = false;
  for (int32_t index = 0; !done; ++index) RETURN_IF_ERROR(Choose(index, done));
  return absl::OkStatus();
}

absl::StatusOr<Choice> Generation::Next(int32_t index) {
  if (Forced(index)) return Choice{job_.forced_ids[index], logits_[job_.forced_ids[index]]};
  return TopNeeded(job_.sampler) > 0 ? sampler_.ChooseTop(top_) : sampler_.Choose(logits_);
}

absl::Status Generation::Choose(int32_t index, bool& done) {
  if (tools_.stop.Check()) return absl::CancelledError("stopped");
  ASSIGN_OR_RETURN(const Choice choice, Next(index));
  const int32_t id = choice.id;
  const int32_t position = tools_.session.position();
  const bool forced = Forced(index);
  const tokenizer::Tokenizer* tokenizer = tools_.tokenizer;
  const bool eos =
      !forced && !job_.ignore_eos && tokenizer != nullptr && tokenizer->IsEndOfGeneration(id);
  const bool full = position >= tools_.session.capacity();
  const bool last = index + 1 == job_.max_tokens;
  const std::string piece =
      tokenizer != nullptr ? tokenizer->Piece(id, /*print_special=*/false) : "";
  std::string text = text_.Add(piece);
  if (eos || full || last) text += text_.Flush();
  v1::GenerateEvent event;
  event.mutable_token()->set_position(position);
  event.mutable_token()->set_id(id);
  event.mutable_token()->set_text(std::move(text));
  event.mutable_token()->set_logprob(LogProbability(top_, choice.logit));
  if (tools_.recorder != nullptr) tools_.recorder->RecordChosen(id, piece);
  finished_.set_generated_tokens(index + 1);
  if (!tools_.events.Send(event)) {
    tools_.stop.Stop(v1::FINISH_REASON_CANCELLED);
    return absl::CancelledError("nobody listens");
  }
  done = true;
  if (text_.stopped()) {
    End(v1::FINISH_REASON_STOP);
  } else if (eos) {
    End(v1::FINISH_REASON_EOS);
  } else if (full) {
    End(v1::FINISH_REASON_LENGTH,
        absl::StrCat("the context of ", tools_.session.capacity(), " tokens is full"));
  } else if (last) {
    End(v1::FINISH_REASON_LENGTH, absl::StrCat("max_tokens ", job_.max_tokens));
    if (forced) return Feed({id}, /*prefill=*/false, index + 1);
  } else {
    done = false;
    return Feed({id}, /*prefill=*/false, index + 1);
  }
  return absl::OkStatus();
}

absl::Status Generation::MakeRoom(int64_t rows) {
  if (tools_.recorder == nullptr) return absl::OkStatus();
  const absl::Time start = absl::Now();
  for (capture::FrameSink* sink : tools_.sinks) {
    RETURN_IF_ERROR(sink->WaitForRoom(rows * job_.capture_bytes_per_token, tools_.stop.flag()));
  }
  RETURN_IF_ERROR(tools_.recorder->Prepare(tools_.session.position(), rows, tools_.stop.flag()));
  finished_.set_capture_wait_nanos(finished_.capture_wait_nanos() +
                                   absl::ToInt64Nanoseconds(absl::Now() - start));
  return absl::OkStatus();
}

absl::Status Generation::Forward(absl::Span<const int32_t> ids,
                                 const engine::ForwardOptions& options, int32_t next) {
  const int32_t top = next < 0 || Forced(next) ? 0 : TopNeeded(job_.sampler);
  const absl::Span<float> row = absl::MakeSpan(logits_);
  if (top > 0) {
    return tools_.session.ForwardTop(ids, options, tools_.recorder, row, top, top_);
  }
  RETURN_IF_ERROR(tools_.session.Forward(ids, options, tools_.recorder, row));
  if (next >= 0) top_ = engine::TopLogitsOf(row, 1);
  return absl::OkStatus();
}

absl::Status Generation::Feed(absl::Span<const int32_t> ids, bool prefill, int32_t next) {
  if (tools_.stop.Check()) return absl::CancelledError("stopped");
  RETURN_IF_ERROR(MakeRoom(static_cast<int64_t>(ids.size())));
  engine::ForwardOptions options;
  options.logits = next >= 0 ? engine::LogitsWanted::kLast : engine::LogitsWanted::kNone;
  options.prefill = prefill;
  options.stop = &tools_.stop.flag();
  const absl::Time start = absl::Now();
  const absl::Status status = Forward(ids, options, next);
  const int64_t nanos = absl::ToInt64Nanoseconds(absl::Now() - start);
  if (prefill) {
    finished_.set_prefill_nanos(finished_.prefill_nanos() + nanos);
  } else {
    finished_.set_decode_nanos(finished_.decode_nanos() + nanos);
  }
  return status;
}

}  // namespace parity::request
