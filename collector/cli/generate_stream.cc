#include "collector/cli/generate_stream.h"

#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "collector/cli/proto_json.h"
#include "proto/status/annotate.h"
#include "proto/status/grpc_status.h"

namespace parity::cli {
namespace {

using Finished = v1::GenerateEvent::Finished;

std::string Rate(int64_t tokens, int64_t nanos) {
  if (nanos <= 0) return "";
  return absl::StrFormat(" (%.1f tokens/s)", static_cast<double>(tokens) * 1e9 / nanos);
}

std::string Figures(const Finished& finished) {
  std::string line = absl::StrCat(ShortName(finished.reason()));
  if (!finished.message().empty()) absl::StrAppend(&line, " (", finished.message(), ")");
  absl::StrAppend(&line, ": ", finished.prompt_tokens(), " prompt tokens",
                  Rate(finished.prompt_tokens(), finished.prefill_nanos()), ", ",
                  finished.generated_tokens(), " generated",
                  Rate(finished.generated_tokens(), finished.decode_nanos()));
  if (finished.has_capture()) {
    absl::StrAppend(&line, "; capture ", ShortName(finished.capture_status()), ": ",
                    finished.capture().captured(), " tensors, ", finished.capture().acked(),
                    " stored, ", finished.capture().dropped(), " dropped");
  }
  return line;
}

ExitCode CodeFor(const Finished& finished) {
  switch (finished.reason()) {
    case v1::FINISH_REASON_EOS:
    case v1::FINISH_REASON_LENGTH:
    case v1::FINISH_REASON_STOP:
      return finished.has_capture() && finished.capture_status() != v1::CAPTURE_STATUS_COMPLETE
                 ? ExitCode::kIncomplete
                 : ExitCode::kParity;
    case v1::FINISH_REASON_DEADLINE:
      return ExitCode::kUnavailable;
    default:
      return ExitCode::kIncomplete;
  }
}

absl::Status Result(const grpc::Status& status, const std::string& who) {
  const absl::Status result = Annotate(FromGrpcStatus(status), who);
  // Here RESOURCE_EXHAUSTED means busy sessions, not a full disk: try again later.
  if (result.code() == absl::StatusCode::kResourceExhausted) {
    return absl::UnavailableError(result.message());
  }
  return result;
}

}  // namespace

absl::StatusOr<ExitCode> StreamGenerate(const v1::GenerateRequest& request, bool json_lines,
                                        v1::Worker::StubInterface& worker,
                                        grpc::ClientContext& context, const std::string& who,
                                        const Console& console) {
  Finished finished;
  bool ended = false, text = false;
  const auto reader = worker.Generate(&context, request);
  for (v1::GenerateEvent event; reader->Read(&event);) {
    if (json_lines) {
      console.out << ToJson(event) << std::endl;
    } else if (event.has_token()) {
      text = true;
      console.out << event.token().text() << std::flush;
    }
    if (event.started().dropped_prompt_bytes() > 0) {
      console.Message(absl::StrCat(event.started().dropped_prompt_bytes(),
                                   " bytes of the prompt have no token and were left out"));
    }
    if (event.has_finished()) {
      finished = std::move(*event.mutable_finished());
      ended = true;
    }
  }
  if (text) console.out << std::endl;
  const absl::Status status = Result(reader->Finish(), who);
  if (!status.ok()) return status;
  if (!ended) return absl::UnavailableError(absl::StrCat(who, ": ended without a finished event"));
  console.Message(Figures(finished));
  return CodeFor(finished);
}

}  // namespace parity::cli
