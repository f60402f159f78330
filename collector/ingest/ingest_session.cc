#include "collector/ingest/ingest_session.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "proto/status/annotate.h"
#include "proto/status/status_macros.h"
#include "proto/tensor/values.h"

namespace parity::ingest {

IngestSession::IngestSession(store::CaptureStore* store, int64_t max_message_bytes,
                             std::function<void()> on_progress)
    : store_(store), max_message_bytes_(max_message_bytes), on_progress_(std::move(on_progress)) {}

IngestSession::~IngestSession() { WaitForQueued(); }

absl::StatusOr<std::optional<v1::IngestResponse>> IngestSession::Handle(
    const v1::IngestRequest& request) {
  RETURN_IF_ERROR(Failure());
  std::optional<v1::IngestResponse> none;
  if (request.has_open()) {
    ASSIGN_OR_RETURN(v1::IngestResponse response, Open(request.open()));
    return std::optional<v1::IngestResponse>(std::move(response));
  }
  if (!request.has_frame() && !request.has_seal()) {
    return absl::InvalidArgumentError("an ingest message is empty; expected open, frame or seal");
  }
  if (!capture_id_.has_value()) {
    return absl::InvalidArgumentError("the first message of an ingest stream must be open");
  }
  if (sealed_) {
    return absl::FailedPreconditionError(
        absl::StrCat(subject_, ": a message after the seal; the capture is sealed"));
  }
  if (request.has_seal()) {
    ASSIGN_OR_RETURN(v1::IngestResponse response, Seal(request.seal()));
    return std::optional<v1::IngestResponse>(std::move(response));
  }
  RETURN_IF_ERROR(AddFrame(request.frame()));
  return none;
}

absl::StatusOr<v1::IngestResponse> IngestSession::Open(const v1::IngestRequest::OpenCapture& open) {
  if (capture_id_.has_value()) {
    return absl::InvalidArgumentError(absl::StrCat(subject_, ": open came twice in one stream"));
  }
  subject_ = absl::StrCat(open.run(), "/", open.team());
  ASSIGN_OR_RETURN(const store::BegunCapture begun,
                   store_->BeginCapture(open.run(), open.team(), open.provenance(), open.note()));
  capture_id_ = begun.id;
  v1::IngestResponse response;
  response.mutable_opened()->set_resumed(begun.resumed);
  response.mutable_opened()->set_max_message_bytes(max_message_bytes_);
  return response;
}

void IngestSession::Reject(int64_t tensors, absl::string_view why) {
  absl::MutexLock lock(&mutex_);
  v1::CaptureCounts& counts = *progress_.mutable_counts();
  counts.set_rejected(counts.rejected() + tensors);
  if (progress_.first_rejection().empty()) progress_.set_first_rejection(std::string(why));
}

absl::Status IngestSession::AddFrame(const v1::IngestRequest::SequencedFrame& message) {
  if (message.sequence() != next_sequence_) {
    return absl::OutOfRangeError(absl::StrCat(subject_, ": frame with sequence ",
                                              message.sequence(), ", expected ", next_sequence_));
  }
  ++next_sequence_;
  const v1::Frame& frame = message.frame();
  store::TensorBatch batch;
  if (frame.position() < 0 || frame.input_token_id() < -1) {
    Reject(frame.tensors_size(),
           absl::StrCat("sequence ", message.sequence(), ": position ", frame.position(),
                        " with token id ", frame.input_token_id(),
                        "; expected a position >= 0 and a token id >= -1"));
  } else {
    batch.AddTokenOf(frame);
    int64_t bytes = 0;
    for (const v1::Tensor& tensor : frame.tensors()) {
      bytes += static_cast<int64_t>(tensor.data().size());
    }
    batch.Reserve(bytes);
    for (const v1::Tensor& tensor : frame.tensors()) {
      const absl::Status valid = tensor::Validate(tensor);
      if (valid.ok()) {
        batch.AddTensor(frame.position(), tensor);
      } else {
        Reject(1, absl::StrCat("position ", frame.position(), ": ", valid.message()));
      }
    }
  }
  {
    absl::MutexLock lock(&mutex_);
    ++queued_;
  }
  // A frame with nothing left in it goes through the store too: acks stay in order.
  const int64_t sequence = message.sequence();
  store_->Append(*capture_id_, std::move(batch),
                 [this, sequence](const absl::StatusOr<store::AppendResult>& result) {
                   OnCommitted(sequence, result);
                 });
  return absl::OkStatus();
}

void IngestSession::OnCommitted(int64_t sequence,
                                const absl::StatusOr<store::AppendResult>& result) {
  {
    absl::MutexLock lock(&mutex_);
    if (!result.ok()) {
      if (failure_.ok()) failure_ = Annotate(result.status(), subject_);
    } else if (failure_.ok()) {  // after a failure nothing is contiguous any more
      progress_.set_committed_sequence(sequence);
    }
    if (result.ok()) {
      v1::CaptureCounts& counts = *progress_.mutable_counts();
      counts.set_acked(counts.acked() + result->stored + result->duplicate);
      counts.set_duplicate(counts.duplicate() + result->duplicate);
      counts.set_conflicting(counts.conflicting() + result->conflicting);
      if (progress_.first_rejection().empty()) {
        progress_.set_first_rejection(result->first_conflict);
      }
    }
  }
  on_progress_();
  // Last: the session may be destroyed as soon as nothing is queued.
  absl::MutexLock lock(&mutex_);
  --queued_;
}

void IngestSession::WaitForQueued() {
  absl::MutexLock lock(&mutex_);
  mutex_.Await(absl::Condition(this, &IngestSession::NothingQueued));
}

absl::StatusOr<v1::IngestResponse> IngestSession::Seal(const v1::IngestRequest::SealCapture& seal) {
  if (seal.captured() < 0 || seal.dropped() < 0) {
    return absl::InvalidArgumentError(absl::StrCat(subject_, ": a seal with negative counts"));
  }
  WaitForQueued();
  RETURN_IF_ERROR(Failure());
  v1::CaptureCounts counts;
  {
    absl::MutexLock lock(&mutex_);
    progress_.mutable_counts()->set_captured(seal.captured());
    progress_.mutable_counts()->set_dropped(seal.dropped());
    counts = progress_.counts();
  }
  ASSIGN_OR_RETURN(v1::IngestResponse::Sealed sealed,
                   store_->Seal(*capture_id_, counts, seal.incomplete_reason()));
  sealed_ = true;
  v1::IngestResponse response;
  *response.mutable_sealed() = std::move(sealed);
  return response;
}

void IngestSession::End(absl::string_view reason) {
  WaitForQueued();
  if (!capture_id_.has_value() || sealed_) return;
  const absl::Status suspended = store_->Suspend(*capture_id_, Progress().counts(), reason);
  sealed_ = true;  // nothing more is taken
  absl::MutexLock lock(&mutex_);
  if (failure_.ok() && !suspended.ok()) failure_ = Annotate(suspended, subject_);
}

v1::IngestResponse::Ack IngestSession::Progress() const {
  absl::MutexLock lock(&mutex_);
  return progress_;
}

absl::Status IngestSession::Failure() const {
  absl::MutexLock lock(&mutex_);
  return failure_;
}

}  // namespace parity::ingest
