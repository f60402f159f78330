// Sends a synthetic capture to a running collector as fast as it takes it, and prints bytes and
// seconds. For ingest_benchmark.py.
#include <CLI/CLI.hpp>
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "proto/serve/channel.h"
#include "proto/status/status_macros.h"
#include "proto/tensor/values.h"
#include "worker/capture/wire_frame.h"
#include "worker/stream/collector_stream.h"

namespace parity {
namespace {

struct Flags {
  std::string collector;
  std::string run = "synthetic";
  int tokens = 64;
};

void AddTensor(const std::string& checkpoint, int width, float value, v1::Frame& frame) {
  const std::vector<float> values(width, value);
  v1::Tensor& tensor = *frame.add_tensors();
  tensor.set_checkpoint(checkpoint);
  tensor.set_dtype(v1::DTYPE_F32);
  tensor.add_shape(width);
  tensor.set_data(values.data(), values.size() * sizeof(float));
  tensor.set_xxh3(tensor::Checksum(tensor.data()));
}

// One token of SmolLM2-135M at capture level full: 30 layers of 15 sites, 1.45 MB, in three frames.
void AddToken(int32_t position, std::vector<capture::WireFramePtr>& frames) {
  const std::vector<std::pair<std::string, int>> sites = {
      {"attn.norm", 576},     {"attn.q", 576},      {"attn.k", 192},       {"attn.v", 192},
      {"attn.q_rope", 576},   {"attn.k_rope", 192}, {"attn.context", 576}, {"attn.out", 576},
      {"attn.residual", 576}, {"mlp.norm", 576},    {"mlp.gate", 1536},    {"mlp.up", 1536},
      {"mlp.act", 1536},      {"mlp.down", 576},    {"out", 576}};
  for (int part = 0; part < 3; ++part) {
    v1::Frame frame;
    frame.set_position(position);
    frame.set_input_token_id(position);
    for (int layer = part * 10; layer < part * 10 + 10; ++layer) {
      for (const auto& [site, width] : sites) {
        AddTensor(absl::StrCat("layer.", layer, ".", site), width, 0.25f * position + layer, frame);
      }
    }
    if (part == 2) AddTensor("logits", 49152, 1.5f * position, frame);
    frames.push_back(capture::WireFrame::From(frame));
  }
}

absl::Status Send(const Flags& flags) {
  std::vector<capture::WireFramePtr> frames;
  for (int32_t position = 0; position < flags.tokens; ++position) AddToken(position, frames);
  ASSIGN_OR_RETURN(auto channel, serve::OpenChannel(flags.collector, {}));
  v1::IngestRequest::OpenCapture open;
  open.set_run(flags.run);
  open.set_team("sender");
  const std::atomic<bool> stop{false};
  ASSIGN_OR_RETURN(auto stream,
                   stream::CollectorStream::Open(channel, open, stream::StreamOptions(), stop));
  int64_t bytes = 0;
  const absl::Time start = absl::Now();
  for (const capture::WireFramePtr& frame : frames) {
    RETURN_IF_ERROR(stream->WaitForRoom(frame->bytes(), stop));
    stream->Push(frame);
    bytes += frame->bytes();
  }
  const capture::CaptureResult result = stream->Finish("");
  const double seconds = absl::ToDoubleSeconds(absl::Now() - start);
  if (result.status != v1::CAPTURE_STATUS_COMPLETE) return absl::InternalError(result.message);
  std::printf("%lld %.6f\n", static_cast<long long>(bytes), seconds);
  return absl::OkStatus();
}

int Main(int argc, char** argv) {
  Flags flags;
  CLI::App app("Sends a synthetic capture to a collector and prints its bytes and seconds.");
  app.add_option("--collector", flags.collector, "host:port or unix:/path")->required();
  app.add_option("--run", flags.run, "A run that is not there yet")->capture_default_str();
  app.add_option("--tokens", flags.tokens, "Tokens of 1.45 MB")->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  const absl::Status status = Send(flags);
  if (!status.ok()) std::fprintf(stderr, "ingest_sender: %s\n", status.ToString().c_str());
  return status.ok() ? 0 : 1;
}

}  // namespace
}  // namespace parity

int main(int argc, char** argv) { return parity::Main(argc, argv); }
