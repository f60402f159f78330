#include "collector/cli/connection.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "collector/cli/unfinished_files.h"
#include "collector/query/local_collector.h"
#include "proto/serve/channel.h"
#include "proto/status/annotate.h"
#include "proto/status/grpc_status.h"
#include "proto/status/status_macros.h"

namespace parity::cli {
namespace {

constexpr double kConnectSeconds = 5;  // a local service answers in milliseconds, a far one in two

std::chrono::system_clock::time_point After(double seconds) {
  return std::chrono::system_clock::now() +
         std::chrono::duration_cast<std::chrono::system_clock::duration>(
             std::chrono::duration<double>(seconds));
}

absl::StatusOr<std::unique_ptr<Connection>> OpenFile(const ConnectionOptions& options,
                                                     Access access) {
  std::error_code error;
  if (access != Access::kImport && !std::filesystem::exists(options.db, error)) {
    return absl::NotFoundError(absl::StrCat(options.db, ": no such database"));
  }
  const query::OpenMode mode =
      access == Access::kRead ? query::OpenMode::kReadOnly : query::OpenMode::kReadWrite;
  const int64_t min_free_bytes = options.min_free_mib << 20;
  auto local = access == Access::kImport
                   ? query::LocalCollector::OpenToImport(options.db, min_free_bytes)
                   : query::LocalCollector::Open(options.db, mode, min_free_bytes);
  if (!local.ok()) return local.status();
  std::shared_ptr<query::LocalCollector> owner = *std::move(local);
  query::LocalCollector* collector = owner.get();
  return std::make_unique<Connection>("", options.timeout_seconds, nullptr, std::move(owner),
                                      collector);
}

}  // namespace

absl::StatusOr<std::shared_ptr<grpc::Channel>> OpenChannel(const std::string& who,
                                                           const std::string& address,
                                                           const serve::TlsFiles& tls,
                                                           double timeout_seconds) {
  auto channel = serve::OpenChannel(address, tls);
  if (!channel.ok()) return channel.status();
  const double seconds =
      timeout_seconds > 0 ? std::min(timeout_seconds, kConnectSeconds) : kConnectSeconds;
  if (!(*channel)->WaitForConnected(After(seconds))) {
    return absl::UnavailableError(
        absl::StrCat("no ", who, " answers at ", address, " within ", seconds, " s"));
  }
  return *std::move(channel);
}

void SetTimeout(double timeout_seconds, grpc::ClientContext* context) {
  if (timeout_seconds > 0) context->set_deadline(After(timeout_seconds));
}

absl::StatusOr<std::unique_ptr<Connection>> Connection::Open(const ConnectionOptions& options,
                                                             Access access) {
  if (options.collector.empty() == options.db.empty()) {
    return absl::InvalidArgumentError("give either --db FILE or --collector ADDR");
  }
  if (!options.db.empty()) return OpenFile(options, access);
  ASSIGN_OR_RETURN(auto channel, OpenChannel("collector", options.collector, options.tls,
                                             options.timeout_seconds));
  std::shared_ptr<v1::Collector::Stub> owner = v1::Collector::NewStub(channel);
  Stub* stub = owner.get();
  return std::make_unique<Connection>(absl::StrCat("collector at ", options.collector),
                                      options.timeout_seconds, stub, std::move(owner));
}

std::unique_ptr<grpc::ClientContext> Connection::NewContext() const {
  auto context = std::make_unique<grpc::ClientContext>();
  SetTimeout(timeout_seconds_, context.get());
  return context;
}

Connection::Stub& Connection::stub() { return local_ != nullptr ? local_->stub() : *stub_; }

absl::Status Connection::Compare(const v1::CompareRequest& request,
                                 const std::function<void(const v1::ComparisonRow&)>& on_row,
                                 v1::ComparisonSummary* summary) const {
  if (local_ != nullptr) {
    const auto deadline = After(timeout_seconds_);
    const auto take = [&](const v1::ComparisonRow& row) {
      on_row(row);
      return CheckTime(deadline);
    };
    return local_->Compare(request, take, summary);
  }
  bool finished = false;
  const auto context = NewContext();
  const auto reader = stub_->Compare(context.get(), request);
  for (v1::CompareResponse response; reader->Read(&response);) {
    if (response.has_summary()) {
      *summary = std::move(*response.mutable_summary());
      finished = true;
    } else if (response.has_row()) {
      on_row(response.row());
    }
  }
  RETURN_IF_ERROR(Result(reader->Finish()));
  if (!finished) return absl::InternalError("the comparison ended without its summary");
  return absl::OkStatus();
}

absl::Status Connection::ImportHere(const v1::ImportOptions& options,
                                    const std::function<absl::Status(const LogSink&)>& read,
                                    v1::ImportResponse* response) const {
  const auto deadline = After(timeout_seconds_);
  const UnfinishedFiles unfinished(local_->unfinished_files());
  ASSIGN_OR_RETURN(const auto log, local_->BeginImport(options));
  absl::Status fed;
  RETURN_IF_ERROR(read([&](absl::string_view piece) {
    fed = log->Feed(piece);
    if (fed.ok()) fed = CheckTime(deadline);
    return fed.ok();
  }));
  RETURN_IF_ERROR(fed);
  ASSIGN_OR_RETURN(*response, log->Finish());
  return absl::OkStatus();
}

absl::Status Connection::Import(const v1::ImportOptions& options,
                                const std::function<absl::Status(const LogSink&)>& read,
                                v1::ImportResponse* response) const {
  if (local_ != nullptr) return ImportHere(options, read, response);
  const auto context = NewContext();
  const auto writer = stub_->Import(context.get(), response);
  v1::ImportRequest message;
  *message.mutable_options() = options;
  absl::Status given;
  if (writer->Write(message)) {
    bool open = true;
    given = read([&](absl::string_view piece) {
      message.set_chunk(piece.data(), piece.size());
      return open = writer->Write(message);
    });
    if (given.ok() && open) writer->WritesDone();
  }
  if (!given.ok()) context->TryCancel();  // half a log must not be stored
  const absl::Status sent = Result(writer->Finish());
  return given.ok() ? sent : given;
}

absl::Status Connection::TimeIsUp() const {
  return absl::DeadlineExceededError(
      absl::StrCat("not done within ", timeout_seconds_, " s (--timeout)"));
}

absl::Status Connection::CheckTime(std::chrono::system_clock::time_point deadline) const {
  if (timeout_seconds_ <= 0 || std::chrono::system_clock::now() < deadline) return absl::OkStatus();
  return TimeIsUp();
}

absl::Status Connection::Result(const grpc::Status& status) const {
  const bool late =
      status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED && timeout_seconds_ > 0;
  const absl::Status plain = late ? TimeIsUp() : FromGrpcStatus(status);
  return where_.empty() ? plain : Annotate(plain, where_);
}

}  // namespace parity::cli
