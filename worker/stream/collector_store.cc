#include "worker/stream/collector_store.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "parity/v1/collector.grpc.pb.h"
#include "proto/status/grpc_status.h"
#include "proto/status/status_macros.h"
#include "worker/stream/capture_reader.h"

namespace parity::stream {
namespace {

// Far beyond any context: a hostile position must not size a table.
constexpr int32_t kMaxPositions = 1 << 22;

// What the run's other captures agree on; -1 where they do not or know nothing.
std::vector<int32_t> OtherIds(const v1::GetRunResponse& response, const std::string& team,
                              size_t count) {
  constexpr int32_t kDisputed = -2;
  std::vector<int32_t> ids(count, -1);
  for (const v1::TokenRecord& token : response.tokens()) {
    if (token.team() == team || token.input_token_id() < 0) continue;
    if (token.position() < 0 || token.position() >= static_cast<int64_t>(count)) continue;
    int32_t& id = ids[token.position()];
    if (id != -1 && id != token.input_token_id()) {
      id = kDisputed;
    } else {
      id = token.input_token_id();
    }
  }
  std::replace(ids.begin(), ids.end(), kDisputed, -1);
  return ids;
}

}  // namespace

absl::StatusOr<capture::ShadowPlan> PlanFrom(const v1::GetRunResponse& response,
                                             const std::string& team) {
  capture::ShadowPlan plan;
  const auto& captures = response.run().captures();
  const auto found = std::find_if(captures.begin(), captures.end(),
                                  [&](const v1::Capture& c) { return c.team() == team; });
  if (found == captures.end()) {
    return absl::NotFoundError(
        absl::StrCat("run '", response.run().name(), "' has no capture of team '", team, "'"));
  }
  plan.provenance = found->provenance();
  int32_t last = -1;
  for (const v1::TokenRecord& token : response.tokens()) {
    if (token.team() != team) continue;
    if (token.position() < 0 || token.position() >= kMaxPositions) {
      return absl::InvalidArgumentError(absl::StrCat("capture ", response.run().name(), "/", team,
                                                     " has a token at position ",
                                                     token.position()));
    }
    last = std::max(last, token.position());
  }
  if (last < 0) {
    return absl::FailedPreconditionError(
        absl::StrCat("capture ", response.run().name(), "/", team, " has no tokens to follow"));
  }
  plan.ids = OtherIds(response, team, static_cast<size_t>(last) + 1);
  plan.phases.assign(plan.ids.size(), v1::PHASE_UNSPECIFIED);
  for (const v1::TokenRecord& token : response.tokens()) {
    if (token.team() != team) continue;
    plan.phases[token.position()] = token.phase();
    if (token.input_token_id() >= 0) plan.ids[token.position()] = token.input_token_id();
  }
  return plan;
}

CollectorStore::CollectorStore(std::shared_ptr<grpc::Channel> channel, StreamOptions options)
    : channel_(std::move(channel)), options_(std::move(options)) {
  if (options_.blocks == nullptr) {
    options_.blocks = capture::BlockPool::Create(options_.queue_bytes);
  }
}

absl::StatusOr<std::unique_ptr<capture::FrameSink>> CollectorStore::Open(
    const v1::IngestRequest::OpenCapture& open, int64_t expected_bytes,
    const std::atomic<bool>& stop) {
  StreamOptions options = options_;
  options.expected_bytes = expected_bytes;
  ASSIGN_OR_RETURN(auto stream, CollectorStream::Open(channel_, open, std::move(options), stop));
  return std::unique_ptr<capture::FrameSink>(std::move(stream));
}

absl::StatusOr<capture::ShadowPlan> CollectorStore::PlanShadow(const std::string& run,
                                                               const std::string& team) {
  grpc::ClientContext context;
  context.set_deadline(absl::ToChronoTime(absl::Now() + options_.open_timeout));
  context.set_wait_for_ready(true);
  v1::GetRunRequest request;
  request.set_run(run);
  v1::GetRunResponse response;
  const grpc::Status status =
      v1::Collector::NewStub(channel_)->GetRun(&context, request, &response);
  if (status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED) {
    return absl::UnavailableError(absl::StrCat("the collector did not answer within ",
                                               absl::FormatDuration(options_.open_timeout)));
  }
  RETURN_IF_ERROR(FromGrpcStatus(status));
  return PlanFrom(response, team);
}

absl::StatusOr<std::unique_ptr<capture::ShadowSource>> CollectorStore::OpenShadow(
    const std::string& run, const std::string& team) {
  v1::ReadCaptureRequest request;
  request.set_run(run);
  request.set_team(team);
  return std::unique_ptr<capture::ShadowSource>(
      std::make_unique<CaptureReader>(channel_, std::move(request)));
}

}  // namespace parity::stream
