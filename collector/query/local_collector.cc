#include "collector/query/local_collector.h"

#include <chrono>
#include <utility>

#include "proto/status/status_macros.h"

namespace parity::query {
namespace {

constexpr int kMaxMessageBytes = 64 << 20;  // no wire here: only a guard against a runaway message

}  // namespace

absl::StatusOr<std::unique_ptr<LocalCollector>> LocalCollector::Open(const std::string& db_path,
                                                                     OpenMode mode) {
  ASSIGN_OR_RETURN(std::unique_ptr<store::CaptureStore> store,
                   store::CaptureStore::Open(db_path, mode));
  std::unique_ptr<LocalCollector> local(new LocalCollector(std::move(store)));
  if (local->server_ == nullptr) return absl::InternalError("no in-process server could start");
  return local;
}

LocalCollector::LocalCollector(std::unique_ptr<store::CaptureStore> store)
    : store_(std::move(store)), service_(store_.get(), kMaxMessageBytes) {
  grpc::ServerBuilder builder;
  builder.RegisterService(&service_);
  builder.SetMaxReceiveMessageSize(kMaxMessageBytes);
  server_ = builder.BuildAndStart();
  if (server_ == nullptr) return;
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kMaxMessageBytes);
  channel_ = server_->InProcessChannel(arguments);
  stub_ = v1::Collector::NewStub(channel_);
}

LocalCollector::~LocalCollector() {
  stub_.reset();
  channel_.reset();
  if (server_ != nullptr) server_->Shutdown(std::chrono::system_clock::now());
  server_.reset();
}

}  // namespace parity::query
