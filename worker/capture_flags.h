// Where a command's captures go: the collector's address and the JSONL log.
#ifndef PARITY_WORKER_CAPTURE_FLAGS_H_
#define PARITY_WORKER_CAPTURE_FLAGS_H_

#include <CLI/CLI.hpp>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "proto/serve/address.h"
#include "worker/capture/frame_sink.h"
#include "worker/capture/jsonl_log.h"

namespace parity::worker {

struct CaptureFlags {
  std::string collector;  // address; empty: none
  serve::TlsFiles collector_tls;
  int64_t queue_bytes = 256 << 20;
  double give_up_seconds = 10;
  int64_t hold_millis = 1000;
  std::string log_file;               // empty: ORCH_LOG_FILE
  std::optional<int64_t> log_values;  // absent: ORCH_LOG_VALUES
};

// Adds --collector, --collector-ca, --queue-bytes, --give-up, --hold-ms, --log-file and
// --log-values. `flags` must outlive the app.
void AddCaptureFlags(CLI::App& app, CaptureFlags& flags);

// Null without a collector's address. Errors: INVALID_ARGUMENT (the address), NOT_FOUND (a PEM
// file).
absl::StatusOr<std::unique_ptr<capture::CaptureStore>> OpenStore(const CaptureFlags& flags);

// Null when neither flags nor environment name a log. Errors: the file's own, INVALID_ARGUMENT
// (ORCH_LOG_VALUES).
absl::StatusOr<std::unique_ptr<capture::JsonlLog>> OpenLog(const CaptureFlags& flags);

}  // namespace parity::worker

#endif  // PARITY_WORKER_CAPTURE_FLAGS_H_
