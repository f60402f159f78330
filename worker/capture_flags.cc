#include "worker/capture_flags.h"

#include <utility>

#include "absl/time/time.h"
#include "proto/serve/channel.h"
#include "proto/serve/command_line.h"
#include "proto/status/status_macros.h"
#include "worker/stream/collector_store.h"

namespace parity::worker {

void AddCaptureFlags(CLI::App& app, CaptureFlags& flags) {
  app.add_option("--collector", flags.collector, "Collector: host:port or unix:/path");
  app.add_option("--collector-ca", flags.collector_tls.authority,
                 "PEM authority of the collector's certificate; turns TLS on");
  app.add_option("--collector-cert", flags.collector_tls.certificate,
                 "PEM certificate to show the collector");
  app.add_option("--collector-key", flags.collector_tls.key, "PEM private key of that certificate");
  app.add_option("--queue-bytes", flags.queue_bytes,
                 "Most bytes of a capture waiting for the collector")
      ->check(CLI::Range(int64_t{1 << 20}, int64_t{1} << 40))
      ->capture_default_str();
  app.add_option("--give-up", flags.give_up_seconds,
                 "Seconds without an ack after which captured tensors are dropped and counted")
      ->check(CLI::Range(0.1, 86400.0))
      ->capture_default_str();
  app.add_option(
         "--hold-ms", flags.hold_millis,
         "Milliseconds for which captured tensors wait, to be sent together, while the queue "
         "is under half full; 0: none. Sending takes time from an engine on the same cores")
      ->check(CLI::Range(0, 60000))
      ->capture_default_str();
  app.add_option("--log-file", flags.log_file,
                 "Append captured tensors to this JSONL file (default: $ORCH_LOG_FILE)");
  app.add_option("--log-values", flags.log_values,
                 "Values logged of each tensor, 0 for all (default: $ORCH_LOG_VALUES)")
      ->check(serve::AtLeastZero());
}

absl::StatusOr<std::unique_ptr<capture::CaptureStore>> OpenStore(const CaptureFlags& flags) {
  if (flags.collector.empty()) return std::unique_ptr<capture::CaptureStore>();
  ASSIGN_OR_RETURN(auto channel, serve::OpenChannel(flags.collector, flags.collector_tls));
  stream::StreamOptions options;
  options.queue_bytes = flags.queue_bytes;
  options.give_up = absl::Seconds(flags.give_up_seconds);
  options.hold = absl::Milliseconds(flags.hold_millis);
  return std::unique_ptr<capture::CaptureStore>(
      std::make_unique<stream::CollectorStore>(std::move(channel), options));
}

absl::StatusOr<std::unique_ptr<capture::JsonlLog>> OpenLog(const CaptureFlags& flags) {
  ASSIGN_OR_RETURN(capture::LogOptions options, capture::LogOptionsFromEnvironment());
  if (!flags.log_file.empty()) options.path = flags.log_file;
  if (flags.log_values.has_value()) options.values = *flags.log_values;
  if (options.path.empty()) return std::unique_ptr<capture::JsonlLog>();
  return capture::JsonlLog::Open(std::move(options));
}

}  // namespace parity::worker
