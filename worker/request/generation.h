// The generation loop: feeds a prompt, chooses tokens, and tells what happens.
#ifndef PARITY_WORKER_REQUEST_GENERATION_H_
#define PARITY_WORKER_REQUEST_GENERATION_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "parity/v1/worker.pb.h"
#include "worker/capture/capture_observer.h"
#include "worker/capture/frame_sink.h"
#include "worker/engine/engine.h"
#include "worker/request/sampler.h"
#include "worker/request/stop_signal.h"
#include "worker/request/text_stream.h"
#include "worker/tokenizer/tokenizer.h"

namespace parity::request {

// Where events go. Threading: one thread.
class EventSink {
 public:
  virtual ~EventSink() = default;
  // Blocks while the listener is slow. False: nobody listens any more.
  virtual bool Send(const v1::GenerateEvent& event) = 0;
};

// What to generate; everything has been checked.
struct GenerationJob {
  std::vector<int32_t> prompt_ids;  // at least one, at most the session's capacity
  std::vector<int32_t> forced_ids;  // followed first, each of them fed
  int32_t max_tokens = 0;           // tokens to choose, forced ones included
  SamplerOptions sampler;
  std::vector<std::string> stop;
  bool ignore_eos = false;
  int32_t step_tokens = 1;              // prefill piece
  int64_t capture_bytes_per_token = 0;  // 0: nothing is captured
};

// What a generation works with; all must outlive it. tokenizer and recorder may be null.
struct GenerationTools {
  engine::Session& session;
  int32_t vocabulary;
  const tokenizer::Tokenizer* tokenizer;
  capture::Recorder* recorder;
  std::vector<capture::FrameSink*> sinks;
  StopSignal& stop;
  EventSink& events;
};

// Runs once. Threading: one thread.
class Generation {
 public:
  Generation(GenerationJob job, GenerationTools tools);

  // Sends a token event for each chosen token. Returns what the finished event says, but for the
  // capture; it never fails: a failure is the reason ERROR.
  v1::GenerateEvent::Finished Run();

 private:
  absl::Status Prefill();
  absl::Status Decode();
  absl::Status Choose(int32_t index, bool& done);
  absl::StatusOr<Choice> Next(int32_t index);
  bool Forced(int32_t index) const { return index < static_cast<int32_t>(job_.forced_ids.size()); }
  // next: index of the token that is chosen after them; -1: none.
  absl::Status Feed(absl::Span<const int32_t> ids, bool prefill, int32_t next);
  absl::Status Forward(absl::Span<const int32_t> ids, const engine::ForwardOptions& options,
                       int32_t next);
  absl::Status MakeRoom(int64_t rows);
  int64_t PieceTokens() const;
  void End(v1::FinishReason reason, std::string message = "");

  const GenerationJob job_;
  const GenerationTools tools_;
  Sampler sampler_;
  TextStream text_;
  // Of the last row fed: the largest logits, and where those do not decide, all.
  engine::TopLogits top_;
  std::vector<float> logits_;  // [V]
  v1::GenerateEvent::Finished finished_;
};

}  // namespace parity::request

#endif  // PARITY_WORKER_REQUEST_GENERATION_H_
