// Writes a model with the shapes of a well-known one and random weights, for benchmarks.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <map>
#include <string>

#include "absl/status/status.h"
#include "kernels/dtype.h"
#include "tests/bench/benchmark.h"
#include "tests/testing/ggml_quantize.h"
#include "tests/testing/tiny_model.h"

namespace {

using parity::testing::TinyModelOptions;

// Q4_K_M's types without its mix: Q4_K matrices and a Q6_K head, where rows are whole blocks of
// them, else what llama-quantize falls back to.
TinyModelOptions Q4KM(TinyModelOptions shapes) {
  shapes.matrices = parity::kernels::DType::kQ4_K;
  shapes.embedding = parity::kernels::DType::kQ6_K;
  shapes.encode = parity::testing::EncodeByGgml;
  return shapes;
}

std::map<std::string, TinyModelOptions> KnownShapes() {
  return {{"qwen2.5-0.5b", Q4KM({.architecture = "qwen2",
                                 .layers = 24,
                                 .width = 896,
                                 .heads = 14,
                                 .kv_heads = 2,
                                 .feed_forward = 4864,
                                 .vocabulary = 151936,
                                 .context_tokens = 4096,
                                 .rope_base = 1e6f})}};
}

}  // namespace

int main(int argc, char** argv) {
  const std::map<std::string, TinyModelOptions> known = KnownShapes();
  std::string shapes = "qwen2.5-0.5b", path;
  CLI::App app("Writes a Q4_K_M model of known shapes with random weights.");
  app.add_option("--shapes", shapes, "Whose shapes")->check(CLI::IsMember(known));
  app.add_option("path", path, "File to write")->required();
  return parity::bench::RunProgram(
      app, argc, argv, [&] { return parity::testing::WriteTinyModel(known.at(shapes), path); });
}
