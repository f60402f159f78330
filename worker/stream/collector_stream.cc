#include "worker/stream/collector_stream.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "proto/status/annotate.h"
#include "proto/status/grpc_status.h"
#include "proto/status/status_macros.h"
#include "worker/stream/ingest_message.h"

namespace parity::stream {
namespace {

// How often waits look at a caller's stop flag, which cannot notify.
constexpr absl::Duration kTick = absl::Milliseconds(10);

// How long Finish() waits for an ack, at least, while a connection stands.
constexpr absl::Duration kLastChance = absl::Seconds(1);

// Priority of the threads that send and read acks: 1.5 % of a share beside an engine thread.
constexpr int kNice = 19;

// Below it a message waits for the next one, if there is one, instead of a system call of its own.
constexpr int64_t kSmallMessage = 16 << 10;

// The collector means it: sending the same again would end the same way.
bool IsFinal(absl::StatusCode code) {
  switch (code) {
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kNotFound:
    case absl::StatusCode::kAlreadyExists:
    case absl::StatusCode::kPermissionDenied:
    case absl::StatusCode::kUnauthenticated:
    case absl::StatusCode::kResourceExhausted:
    case absl::StatusCode::kFailedPrecondition:
    case absl::StatusCode::kOutOfRange:
    case absl::StatusCode::kUnimplemented:
    case absl::StatusCode::kDataLoss:
      return true;
    default:
      return false;
  }
}

// Refusals that are the caller's to mend before anything is computed.
bool RefusesTheCapture(absl::StatusCode code) {
  return code == absl::StatusCode::kInvalidArgument ||
         code == absl::StatusCode::kFailedPrecondition ||
         code == absl::StatusCode::kAlreadyExists || code == absl::StatusCode::kPermissionDenied ||
         code == absl::StatusCode::kUnauthenticated;
}

int64_t Refused(const v1::CaptureCounts& counts) {
  return counts.rejected() + counts.conflicting();
}

}  // namespace

absl::StatusOr<std::unique_ptr<CollectorStream>> CollectorStream::Open(
    std::shared_ptr<grpc::Channel> channel, v1::IngestRequest::OpenCapture open,
    StreamOptions options, const std::atomic<bool>& stop) {
  auto stream = std::unique_ptr<CollectorStream>(
      new CollectorStream(std::move(channel), std::move(open), options));
  const absl::Time limit = absl::Now() + options.open_timeout;
  if (options.blocks != nullptr) {
    options.blocks->Prepare(std::min(options.expected_bytes, options.queue_bytes));
  }
  absl::MutexLock lock(&stream->mutex_);
  while (!stream->opened_ && !stream->ended_ && absl::Now() < limit) {
    if (stop.load(std::memory_order_relaxed)) break;
    stream->changed_.WaitWithTimeout(&stream->mutex_, kTick);
  }
  absl::Status status;
  if (stop.load(std::memory_order_relaxed)) {
    status = absl::CancelledError("stopped while the capture was opened");
  } else if (stream->ended_ && RefusesTheCapture(stream->last_error_.code())) {
    status = Annotate(stream->last_error_, "the collector refuses the capture");
  }
  if (status.ok()) return stream;
  stream->Abandon();
  return status;
}

CollectorStream::CollectorStream(std::shared_ptr<grpc::Channel> channel,
                                 v1::IngestRequest::OpenCapture open, StreamOptions options)
    : channel_(std::move(channel)),
      open_(std::move(open)),
      options_(options),
      last_progress_(absl::Now()),
      look_(options.hold > absl::ZeroDuration() ? last_progress_ + options.hold
                                                : absl::InfiniteFuture()) {
  sender_ = std::thread([this] { Run(); });
}

CollectorStream::~CollectorStream() {
  {
    absl::MutexLock lock(&mutex_);
    Abandon();
  }
  if (sender_.joinable()) sender_.join();
}

bool CollectorStream::Stalled() const {
  return !entries_.empty() && absl::Now() - last_progress_ > options_.give_up;
}

bool CollectorStream::MayHold() const {
  return opened_ && options_.hold > absl::ZeroDuration() && total_bytes_ < options_.queue_bytes / 2;
}

absl::Status CollectorStream::WaitForRoom(int64_t bytes, const std::atomic<bool>& stop) {
  if (total_bytes_ + bytes <= options_.queue_bytes) {
    // Who holds the lock may have to wait for a core: the sender gets it all the next time.
    if (!MayHold() && mutex_.TryLock()) {
      granted_bytes_ = 0;  // a step that needed it has left the queue
      Deliver();
      mutex_.Unlock();
    }
    return absl::OkStatus();
  }
  absl::MutexLock lock(&mutex_);
  Deliver();
  while (!ended_ && !entries_.empty() && queued_bytes_ + bytes > options_.queue_bytes &&
         !Stalled()) {
    if (stop.load(std::memory_order_relaxed)) return absl::CancelledError("stopped");
    changed_.WaitWithTimeout(&mutex_, kTick);
  }
  granted_bytes_ = entries_.empty() ? bytes : 0;
  return absl::OkStatus();
}

void CollectorStream::Push(capture::WireFramePtr frame) {
  total_bytes_ += frame->bytes();
  absl::MutexLock lock(&inbox_mutex_);
  inbox_.push_back(std::move(frame));
}

void CollectorStream::TakeInbox() {
  std::vector<capture::WireFramePtr> frames;
  {
    absl::MutexLock lock(&inbox_mutex_);
    frames.swap(inbox_);
  }
  for (capture::WireFramePtr& frame : frames) Accept(std::move(frame));
}

void CollectorStream::Deliver() {
  TakeInbox();
  changed_.SignalAll();
}

void CollectorStream::Accept(capture::WireFramePtr frame) {
  captured_ += frame->tensors();
  // Steps are sized to fit, token records are not asked for: a quarter is left for those.
  const int64_t limit = std::max(options_.queue_bytes, granted_bytes_);
  const int64_t slack = Stalled() ? 0 : limit / 4;
  if (ended_ || (!entries_.empty() && queued_bytes_ + frame->bytes() > limit + slack)) {
    Drop(*frame);
    return;
  }
  if (entries_.empty()) last_progress_ = absl::Now();
  queued_bytes_ += frame->bytes();
  entries_.push_back(std::move(frame));
}

void CollectorStream::Drop(const capture::WireFrame& frame) {
  given_up_ += frame.tensors();
  total_bytes_ -= frame.bytes();
}

void CollectorStream::DropAll() {
  for (const capture::WireFramePtr& frame : entries_) Drop(*frame);
  entries_.clear();
  queued_bytes_ = 0;
  sent_ = 0;
}

void CollectorStream::Abandon() {
  abandoned_ = true;
  if (context_ != nullptr) context_->TryCancel();
  changed_.SignalAll();
}

int64_t CollectorStream::Dropped() const {
  // A re-sent frame may be refused twice: never more than what was settled.
  return given_up_ + std::min(settled_, Refused(past_) + Refused(current_));
}

void CollectorStream::Run() {
  // The engine comes first where cores are short: the queue is there to wait in. Linux takes this
  // as the calling thread's own; the reader inherits it.
  setpriority(PRIO_PROCESS, static_cast<id_t>(gettid()), kNice);
  absl::Duration backoff = options_.first_backoff;
  while (true) {
    const absl::Status status = RunConnection();
    absl::MutexLock lock(&mutex_);
    // What our own cancel looks like is no cause.
    if (!abandoned_) last_error_ = status;
    if (opened_) backoff = options_.first_backoff;
    opened_ = false;
    if (sealed_ || abandoned_ || IsFinal(status.code())) {
      DropAll();
      ended_ = true;
      changed_.SignalAll();
      return;
    }
    const absl::Time until = absl::Now() + backoff;
    while (!abandoned_ && absl::Now() < until) changed_.WaitWithDeadline(&mutex_, until);
    backoff = std::min(backoff * 1.5, options_.max_backoff);
  }
}

void CollectorStream::BeginConnection() {
  past_.set_duplicate(past_.duplicate() + current_.duplicate());
  past_.set_rejected(past_.rejected() + current_.rejected());
  past_.set_conflicting(past_.conflicting() + current_.conflicting());
  current_.Clear();
  sent_ = 0;
  first_sequence_ = 1;
  reader_done_ = false;
  seal_sent_ = false;
}

absl::Status CollectorStream::RunConnection() {
  grpc::ClientContext context;
  {
    absl::MutexLock lock(&mutex_);
    if (abandoned_) return absl::CancelledError("abandoned");
    BeginConnection();
    context_ = &context;
  }
  // As the generated stub does, but for messages that are bytes already.
  const grpc::internal::RpcMethod method("/parity.v1.Collector/Ingest", nullptr,
                                         grpc::internal::RpcMethod::BIDI_STREAMING, channel_);
  const std::unique_ptr<Rpc> rpc(
      grpc::internal::ClientReaderWriterFactory<grpc::ByteBuffer, v1::IngestResponse>::Create(
          channel_.get(), method, &context));
  std::thread reader([this, &rpc] {
    v1::IngestResponse response;
    while (rpc->Read(&response)) OnResponse(response);
    absl::MutexLock lock(&mutex_);
    reader_done_ = true;
    changed_.SignalAll();
  });
  v1::IngestRequest open;
  *open.mutable_open() = open_;
  if (rpc->Write(ToByteBuffer(open))) WriteAll(*rpc);
  reader.join();
  const grpc::Status status = rpc->Finish();
  absl::MutexLock lock(&mutex_);
  context_ = nullptr;
  if (status.ok() && !sealed_) return absl::UnavailableError("the collector ended the stream");
  return FromGrpcStatus(status);
}

void CollectorStream::WriteAll(Rpc& rpc) {
  Message message;
  while (NextMessage(message)) {
    if (message.frame == nullptr) {
      if (rpc.Write(ToByteBuffer(message.seal))) rpc.WritesDone();
      return;
    }
    grpc::WriteOptions options;
    if (message.more && message.frame->bytes() < kSmallMessage) options.set_buffer_hint();
    if (!rpc.Write(FrameMessage(message.sequence, message.frame), options)) return;
  }
}

bool CollectorStream::NextMessage(Message& message) {
  message = Message();
  absl::MutexLock lock(&mutex_);
  while (true) {
    if (reader_done_ || abandoned_) return false;
    if (absl::Now() >= look_) {
      TakeInbox();
      look_ = absl::Now() + options_.hold;
    }
    if (opened_ && sent_ < entries_.size()) {
      message.frame = entries_[sent_];
      message.sequence = first_sequence_ + static_cast<int64_t>(sent_);
      message.more = ++sent_ < entries_.size();
      return true;
    }
    if (opened_ && finishing_ && entries_.empty() && !seal_sent_) {
      message.seal = SealMessage();
      return true;
    }
    changed_.WaitWithDeadline(&mutex_, look_);
  }
}

v1::IngestRequest CollectorStream::SealMessage() {
  seal_sent_ = true;
  v1::IngestRequest message;
  v1::IngestRequest::SealCapture& seal = *message.mutable_seal();
  seal.set_captured(captured_);
  seal.set_dropped(Dropped());
  seal.set_incomplete_reason(incomplete_reason_);
  return message;
}

void CollectorStream::OnResponse(const v1::IngestResponse& response) {
  std::vector<capture::WireFramePtr> done;  // freed after the lock
  absl::MutexLock lock(&mutex_);
  if (response.has_opened()) {
    opened_ = true;
    last_progress_ = absl::Now();
  } else if (response.has_ack()) {
    OnAck(response.ack(), done);
  } else if (response.has_sealed()) {
    sealed_ = true;
    seal_ = response.sealed();
    if (seal_.has_counts()) current_ = seal_.counts();
  }
  changed_.SignalAll();
}

void CollectorStream::OnAck(const v1::IngestResponse::Ack& ack,
                            std::vector<capture::WireFramePtr>& done) {
  if (ack.has_counts()) current_ = ack.counts();
  if (first_rejection_.empty()) first_rejection_ = ack.first_rejection();
  // An ack of what was never sent frees nothing.
  while (sent_ > 0 && first_sequence_ <= ack.committed_sequence()) {
    settled_ += entries_.front()->tensors();
    queued_bytes_ -= entries_.front()->bytes();
    total_bytes_ -= entries_.front()->bytes();
    done.push_back(std::move(entries_.front()));
    entries_.pop_front();
    --sent_;
    ++first_sequence_;
    last_progress_ = absl::Now();
  }
}

capture::CaptureResult CollectorStream::Finish(absl::string_view incomplete_reason) {
  {
    absl::MutexLock lock(&mutex_);
    Deliver();
    finishing_ = true;
    incomplete_reason_ = std::string(incomplete_reason);
    // Waiting for the seal's answer is waiting for progress too, and a collector that is connected
    // gets a last chance.
    const absl::Duration patience =
        entries_.empty() ? options_.give_up
                         : std::min(options_.give_up, opened_ ? kLastChance : absl::ZeroDuration());
    last_progress_ = std::max(last_progress_, absl::Now() - options_.give_up + patience);
    changed_.SignalAll();
    while (!ended_ && !(abandoned_ || absl::Now() - last_progress_ > options_.give_up)) {
      changed_.WaitWithTimeout(&mutex_, kTick);
    }
    if (!ended_) Abandon();
  }
  sender_.join();
  absl::MutexLock lock(&mutex_);
  return Result();
}

capture::CaptureResult CollectorStream::Result() {
  capture::CaptureResult result;
  result.counts.set_captured(captured_);
  result.counts.set_dropped(Dropped());
  result.counts.set_acked(captured_ - Dropped());
  result.counts.set_duplicate(past_.duplicate() + current_.duplicate());
  result.counts.set_conflicting(past_.conflicting() + current_.conflicting());
  result.counts.set_rejected(past_.rejected() + current_.rejected());
  result.status = sealed_ ? seal_.status() : v1::CAPTURE_STATUS_INCOMPLETE;
  if (!sealed_) {
    result.message = absl::StrCat("the collector did not confirm the capture, ", given_up_, " of ",
                                  captured_, " tensors were not acknowledged",
                                  last_error_.ok() ? "" : ": ", last_error_.message());
  } else if (!first_rejection_.empty()) {
    result.message = absl::StrCat(seal_.message(), seal_.message().empty() ? "" : "; ",
                                  "first refusal: ", first_rejection_);
  } else {
    result.message = seal_.message();
  }
  return result;
}

}  // namespace parity::stream
