#include "collector/query/local_collector.h"

#include <glog/logging.h>

#include <chrono>
#include <utility>

#include "proto/status/status_macros.h"

namespace parity::query {
namespace {

constexpr int kMaxMessageBytes = 64 << 20;  // no wire here: only a guard against a runaway message
// Of an import: as much as is parsed in the time that a sync takes, 10 to 20 ms.
constexpr int64_t kImportCommitBytes = 4 << 20;

}  // namespace

absl::StatusOr<std::unique_ptr<LocalCollector>> LocalCollector::Open(const std::string& db_path,
                                                                     OpenMode mode,
                                                                     int64_t min_free_bytes) {
  store::StoreOptions options;
  options.min_free_bytes = min_free_bytes;
  ASSIGN_OR_RETURN(std::unique_ptr<store::CaptureStore> store,
                   store::CaptureStore::Open(db_path, mode, options));
  return std::unique_ptr<LocalCollector>(new LocalCollector(std::move(store)));
}

absl::StatusOr<std::unique_ptr<LocalCollector>> LocalCollector::OpenToImport(
    const std::string& db_path, int64_t min_free_bytes) {
  store::StoreOptions options;
  options.min_free_bytes = min_free_bytes;
  options.commit_bytes = kImportCommitBytes;
  options.write_once = true;
  ASSIGN_OR_RETURN(std::unique_ptr<store::CaptureStore> store,
                   store::CaptureStore::Open(db_path, OpenMode::kReadWrite, options));
  return std::unique_ptr<LocalCollector>(new LocalCollector(std::move(store)));
}

LocalCollector::LocalCollector(std::unique_ptr<store::CaptureStore> store)
    : store_(std::move(store)), service_(store_.get(), kMaxMessageBytes) {}

v1::Collector::StubInterface& LocalCollector::stub() {
  std::call_once(started_, [this] {
    grpc::ServerBuilder builder;
    builder.RegisterService(&service_);
    builder.SetMaxReceiveMessageSize(kMaxMessageBytes);
    server_ = builder.BuildAndStart();
    CHECK(server_ != nullptr) << "a server without a port did not start";
    grpc::ChannelArguments arguments;
    arguments.SetMaxReceiveMessageSize(kMaxMessageBytes);
    channel_ = server_->InProcessChannel(arguments);
    stub_ = v1::Collector::NewStub(channel_);
  });
  return *stub_;
}

LocalCollector::~LocalCollector() {
  stub_.reset();
  channel_.reset();
  if (server_ != nullptr) server_->Shutdown(std::chrono::system_clock::now());
  server_.reset();
}

}  // namespace parity::query
