// Decoding as a worker does it, with and without a capture that goes to a collector.
#ifndef PARITY_TESTS_GPU_CAPTURED_DECODE_H_
#define PARITY_TESTS_GPU_CAPTURED_DECODE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "worker/capture/frame_sink.h"
#include "worker/engine/engine.h"
#include "worker/request/generator.h"

namespace parity::testing {

// The worker's request room over an engine, without its gRPC service. Threading: one thread.
class CapturedDecode {
 public:
  // collector: "unix:/path" or "host:port". `engine` must outlive the object. Errors: those of
  // serve::OpenChannel.
  static absl::StatusOr<std::unique_ptr<CapturedDecode>> Open(engine::Engine& engine,
                                                              const std::string& model,
                                                              const std::string& collector);

  // Tokens a second of a greedy request, prompt apart, waits for room in the capture's queue
  // counted; what is still queued after the last token is not. level: "full", "layers", "logits",
  // or empty for no capture. Returns when the capture is sealed. UNAVAILABLE where it is not
  // complete.
  absl::StatusOr<double> Rate(const std::vector<int32_t>& prompt, int tokens,
                              const std::string& level);

 private:
  CapturedDecode(engine::Engine& engine, const std::string& model,
                 std::unique_ptr<capture::CaptureStore> store);

  const std::unique_ptr<capture::CaptureStore> store_;
  request::Generator generator_;
};

}  // namespace parity::testing

#endif  // PARITY_TESTS_GPU_CAPTURED_DECODE_H_
