// The JSONL log of captured tensors: one line a tensor, appended, readable by `parity import` and
// older tools.
#ifndef PARITY_WORKER_CAPTURE_JSONL_LOG_H_
#define PARITY_WORKER_CAPTURE_JSONL_LOG_H_

#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "worker/capture/frame_sink.h"
#include "worker/capture/wire_frame.h"

namespace parity::capture {

struct LogOptions {
  std::string path;    // empty: no log
  std::string team;    // empty: the request's team
  int64_t values = 0;  // values written of each tensor; 0: all
};

// Reads ORCH_LOG_FILE, ORCH_LOG_TEAM and ORCH_LOG_VALUES. INVALID_ARGUMENT naming the variable and
// what it holds.
absl::StatusOr<LogOptions> LogOptionsFromEnvironment();

// An open log file. Threading: thread-safe; whole lines of several sessions interleave.
class JsonlLog {
 public:
  // Opens for appending. The file's own error, naming the path.
  static absl::StatusOr<std::unique_ptr<JsonlLog>> Open(LogOptions options);
  ~JsonlLog();

  const LogOptions& options() const { return options_; }
  // The first write that failed, for good.
  absl::Status Append(absl::string_view lines);
  absl::Status Flush();

 private:
  JsonlLog(LogOptions options, std::FILE* file) : options_(std::move(options)), file_(file) {}
  absl::Status Fail(absl::string_view what) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const LogOptions options_;
  absl::Mutex mutex_;
  std::FILE* const file_;
  absl::Status status_ ABSL_GUARDED_BY(mutex_);
};

// Appends the line of one tensor, newline included, to `out`:
// {"ts","team","checkpoint","token_idx","dtype","shape","values","source"}. Floats are the shortest
// text that reads back to the same bits; NaN, Infinity and -Infinity are bare words. REQUIRES: the
// tensor is valid.
void AppendJsonLine(const v1::Tensor& tensor, int32_t position, absl::string_view team,
                    absl::Time time, int64_t max_values, std::string& out);

// One session's way into the log. Push only keeps the frame: text is made in WaitForRoom and
// Finish, while the engine serves others.
class JsonlSink : public FrameSink {
 public:
  // `team` is used when the log's options name none. The log must outlive the sink.
  JsonlSink(JsonlLog& log, absl::string_view team);

  absl::Status WaitForRoom(int64_t bytes, const std::atomic<bool>& stop) override;
  int64_t capacity_bytes() const override;
  void Push(WireFramePtr frame) override { frames_.push_back(std::move(frame)); }
  // COMPLETE, or INCOMPLETE with the file's error; acked = lines written.
  CaptureResult Finish(absl::string_view incomplete_reason) override;

 private:
  void Write();

  JsonlLog& log_;
  const std::string team_;
  std::vector<WireFramePtr> frames_;
  CaptureResult result_;
};

}  // namespace parity::capture

#endif  // PARITY_WORKER_CAPTURE_JSONL_LOG_H_
