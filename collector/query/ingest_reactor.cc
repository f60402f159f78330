#include "collector/query/ingest_reactor.h"

#include <optional>
#include <utility>

#include "absl/status/statusor.h"
#include "collector/query/answer.h"
#include "proto/status/status_macros.h"

namespace parity::query {
namespace {

// One message being handled and one waiting: the bytes in flight of a stream are bounded by these
// two and the store's own limit.
constexpr size_t kMaxReceived = 2;

}  // namespace

IngestReactor::IngestReactor(store::CaptureStore* store, int64_t max_message_bytes)
    : session_(store, max_message_bytes, [this] { OnProgress(); }) {
  thread_ = std::thread(&IngestReactor::HandleMessages, this);
  StartRead(&incoming_);
}

void IngestReactor::OnReadDone(bool ok) {
  bool read_on = false;
  {
    absl::MutexLock lock(&mutex_);
    if (ok) {
      received_.push_back(std::move(incoming_));
      read_on = received_.size() < kMaxReceived;
    } else {
      ended_ = true;
    }
    reading_ = read_on;
  }
  if (read_on) StartRead(&incoming_);
}

bool IngestReactor::NextMessage(v1::IngestRequest& message) {
  bool read_on = false;
  {
    absl::MutexLock lock(&mutex_);
    mutex_.Await(absl::Condition(this, &IngestReactor::HasNews));
    if (store_failed_ || received_.empty()) return false;
    message = std::move(received_.front());
    received_.pop_front();
    read_on = !reading_ && !ended_;
    if (read_on) reading_ = true;
  }
  if (read_on) StartRead(&incoming_);
  return true;
}

absl::Status IngestReactor::HandleUntilEnd() {
  v1::IngestRequest message;
  while (NextMessage(message)) {
    ASSIGN_OR_RETURN(std::optional<v1::IngestResponse> answer, session_.Handle(message));
    if (!answer.has_value()) continue;
    const bool sealed = answer->has_sealed();
    Reply(*std::move(answer));
    if (sealed) break;
  }
  return session_.Failure();
}

void IngestReactor::HandleMessages() {
  const absl::Status status = HandleUntilEnd();
  session_.End(status.ok() ? absl::string_view("the stream ended without a seal")
                           : status.message());
  {
    absl::MutexLock lock(&mutex_);
    finishing_ = true;
    final_ = status;
  }
  MaybeWrite();  // may end the object's life
}

void IngestReactor::Reply(v1::IngestResponse response) {
  {
    absl::MutexLock lock(&mutex_);
    answers_.push_back(std::move(response));
  }
  MaybeWrite();
}

void IngestReactor::OnProgress() {
  const bool failed = !session_.Failure().ok();
  {
    absl::MutexLock lock(&mutex_);
    ack_due_ = true;
    store_failed_ = store_failed_ || failed;
  }
  MaybeWrite();
}

void IngestReactor::MaybeWrite() {
  absl::Status status;
  bool finish = false;
  {
    absl::MutexLock lock(&mutex_);
    if (writing_ || finished_) return;
    if (broken_) {
      answers_.clear();
      ack_due_ = false;
    }
    // The last ack goes before the answer to the seal, everything else in the order in which it
    // came up.
    if (ack_due_ && (answers_.empty() || answers_.front().has_sealed())) {
      *outgoing_.mutable_ack() = session_.Progress();
      ack_due_ = false;
      writing_ = true;
    } else if (!answers_.empty()) {
      outgoing_ = std::move(answers_.front());
      answers_.pop_front();
      writing_ = true;
    } else if (finishing_) {
      finished_ = true;
      status = final_;
    } else {
      return;
    }
    finish = finished_;
  }
  // Outside the lock; writing_ and finished_ keep everybody else from starting anything.
  if (finish) {
    Finish(Answer("Ingest", status));
  } else {
    StartWrite(&outgoing_);
  }
}

void IngestReactor::OnWriteDone(bool ok) {
  {
    absl::MutexLock lock(&mutex_);
    writing_ = false;
    broken_ = broken_ || !ok;
  }
  MaybeWrite();
}

void IngestReactor::OnDone() {
  if (thread_.get_id() == std::this_thread::get_id()) {
    thread_.detach();
  } else {
    thread_.join();
  }
  delete this;
}

}  // namespace parity::query
