// A hostile sender of Ingest messages: every tensor is stored, refused or in conflict, and counted.
//
// The input is a list of serialized IngestRequests, each behind its length in two bytes, little
// endian (the last may be longer than what is left). So that mutations reach past the first checks,
// a sequence of 0 becomes the expected one, and a checksum of 0 the right one.
#include <glog/logging.h>
#include <google/protobuf/stubs/logging.h>

#include "collector/ingest/ingest_session.h"
#include "proto/tensor/values.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/fuzz/memory_bound.h"
#include "tests/fuzz/scratch_store.h"

namespace parity::fuzz {

namespace {

std::vector<v1::IngestRequest> ReadRequests(absl::string_view input) {
  std::vector<v1::IngestRequest> requests;
  int64_t sequence = 0;
  while (input.size() > 2) {
    const size_t length = static_cast<uint8_t>(input[0]) | static_cast<uint8_t>(input[1]) << 8;
    const absl::string_view message = input.substr(2, length);
    input.remove_prefix(2 + message.size());
    v1::IngestRequest request;
    // gRPC ends a stream with a message that does not parse; the session never sees it.
    if (!request.ParseFromArray(message.data(), static_cast<int>(message.size()))) break;
    if (request.has_frame()) {
      ++sequence;
      v1::IngestRequest::SequencedFrame& frame = *request.mutable_frame();
      if (frame.sequence() == 0) frame.set_sequence(sequence);
      for (v1::Tensor& tensor : *frame.mutable_frame()->mutable_tensors()) {
        if (tensor.xxh3() == 0) tensor.set_xxh3(tensor::Checksum(tensor.data()));
      }
    }
    requests.push_back(std::move(request));
  }
  return requests;
}

struct Sent {
  int64_t frames = 0;
  int64_t tensors = 0;
};

// A frame's two token ids may be in conflict with what is stored, besides its tensors.
void CheckCounts(const v1::CaptureCounts& counts, const Sent& sent) {
  const int64_t taken = counts.acked() + counts.rejected();
  CHECK_LE(taken, sent.tensors);
  CHECK_GE(taken + counts.conflicting(), sent.tensors);
  CHECK_LE(taken + counts.conflicting(), sent.tensors + 2 * sent.frames);
  CHECK_LE(counts.duplicate(), counts.acked());
}

// Sends until the session ends the stream. Returns whether the capture was sealed.
bool Send(ingest::IngestSession& session, const std::vector<v1::IngestRequest>& requests) {
  Sent sent;
  bool sealed = false;
  for (const v1::IngestRequest& request : requests) {
    const auto answer = session.Handle(request);
    if (!answer.ok()) {
      CheckErrorLine(answer.status());
      break;
    }
    if (request.has_frame()) {
      ++sent.frames;
      sent.tensors += request.frame().frame().tensors_size();
    }
    if (answer->has_value() && (*answer)->has_sealed()) {
      sealed = true;
      CheckCounts((*answer)->sealed().counts(), sent);
      CHECK_NE((*answer)->sealed().status(), v1::CAPTURE_STATUS_UNSPECIFIED);
    }
  }
  session.End("the input ended");
  CHECK(session.Failure().ok()) << session.Failure();
  const std::string refusal = session.Progress().first_rejection();
  if (!refusal.empty()) CheckErrorLine(absl::InvalidArgumentError(refusal));
  CheckCounts(session.Progress().counts(), sent);
  return sealed;
}

void CheckStored(const v1::IngestRequest::OpenCapture& open, const v1::CaptureCounts& counts,
                 bool sealed) {
  const auto run = ScratchStore().GetRun(open.run());
  CHECK(run.ok()) << run.status();
  CHECK_EQ(run->captures_size(), 1);
  CHECK_EQ(run->captures(0).tensors(), counts.acked() - counts.duplicate());
  if (!sealed) CHECK_NE(run->captures(0).status(), v1::CAPTURE_STATUS_COMPLETE);
}

std::string Message(const v1::IngestRequest& request) {
  const std::string bytes = request.SerializeAsString();
  return std::string(
             {static_cast<char>(bytes.size() & 0xff), static_cast<char>(bytes.size() >> 8)}) +
         bytes;
}

std::string Open() {
  v1::IngestRequest request;
  request.mutable_open()->set_run("run");
  request.mutable_open()->set_team("team");
  request.mutable_open()->mutable_provenance()->set_engine("cpu");
  request.mutable_open()->set_note("note");
  return Message(request);
}

std::string Frame(int position, v1::DType dtype, const std::vector<int64_t>& shape,
                  const std::string& data) {
  v1::IngestRequest request;
  v1::Frame& frame = *request.mutable_frame()->mutable_frame();
  frame.set_position(position);
  frame.set_input_token_id(7);
  frame.set_phase(v1::PHASE_PREFILL);
  frame.set_chosen_token_id(8);
  frame.set_chosen_text("\xff");
  for (const char* name : {"embed", "layer.0.out"}) {
    v1::Tensor& tensor = *frame.add_tensors();
    tensor.set_checkpoint(name);
    tensor.set_dtype(dtype);
    for (const int64_t size : shape) tensor.add_shape(size);
    tensor.set_data(data);
  }
  return Message(request);
}

std::string Seal(int64_t captured) {
  v1::IngestRequest request;
  request.mutable_seal()->set_captured(captured);
  request.mutable_seal()->set_incomplete_reason(captured == 0 ? "cancelled" : "");
  return Message(request);
}

}  // namespace

const int kReplayedMutations = 200;  // each waits for commits

std::vector<std::string> Seeds() {
  const std::string floats("\0\0\x80\x3f\0\0\xc0\x7f", 8);  // 1, NaN
  const std::string f32 = Frame(0, v1::DTYPE_F32, {2}, floats);
  const std::string f16 = Frame(1, v1::DTYPE_F16, {2, 2}, floats);
  const std::string prefix = Frame(2, v1::DTYPE_F32, {1000}, floats);
  return {Open() + f32 + f16 + Seal(4),
          Open() + f32 + f32 + Seal(2),  // duplicates
          Open() + f32 + Frame(0, v1::DTYPE_F32, {2}, floats.substr(4) + floats.substr(0, 4)) +
              Seal(0),  // conflicts
          Open() + Frame(-1, v1::DTYPE_F32, {2}, floats) + Frame(0, v1::DTYPE_F32, {3}, floats) +
              Seal(4),
          Open() + Frame(0, v1::DTYPE_BF16, {int64_t{1} << 40, 1 << 20}, floats),
          f32,
          Open() + Open(),
          Open() + prefix + Seal(-1)};
}

void RunOne(absl::string_view input) {
  constexpr int64_t kMaxMessageBytes = 4 << 20;
  google::protobuf::SetLogHandler(nullptr);  // it prints a line for every string that is no UTF-8
  ScratchStore();
  {
    const MemoryBound bound(input.size());
    const std::vector<v1::IngestRequest> requests = ReadRequests(input);
    ingest::IngestSession session(&ScratchStore(), kMaxMessageBytes, [] {});
    const bool sealed = Send(session, requests);
    const auto runs = ScratchStore().ListRuns(2, "");
    CHECK(runs.ok()) << runs.status();
    CHECK_LE(runs->size(), 1u);
    if (!runs->empty()) CheckStored(requests[0].open(), session.Progress().counts(), sealed);
  }
  EmptyScratchStore();
}

}  // namespace parity::fuzz
