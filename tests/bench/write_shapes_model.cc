// Writes a model with the shapes of a well-known one and random blocks for weights, for benchmarks.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "kernels/conformance/fixtures.h"
#include "kernels/dtype.h"
#include "tests/bench/benchmark.h"
#include "tests/testing/tiny_model.h"

namespace {

using parity::kernels::DType;
using parity::testing::TinyModelOptions;

// Some random rows, again and again: billions of values would take a minute to draw, and no speed
// depends on them.
std::vector<uint8_t> RepeatedRows(DType dtype, int64_t rows, int64_t cols, uint32_t seed) {
  const std::vector<uint8_t> drawn =
      parity::kernels::conformance::RandomWeight(dtype, std::min<int64_t>(rows, 32), cols, seed);
  std::vector<uint8_t> bytes(rows * parity::kernels::RowBytes(dtype, cols));
  for (size_t at = 0; at < bytes.size(); at += drawn.size()) {
    std::copy_n(drawn.begin(), std::min(drawn.size(), bytes.size() - at), bytes.begin() + at);
  }
  return bytes;
}

std::map<std::string, TinyModelOptions> KnownShapes() {
  // Q4_K_M's types without its mix: Q4_K matrices and a Q6_K head, where rows are whole blocks of
  // them, else what llama-quantize falls back to.
  const TinyModelOptions half = {.architecture = "qwen2",
                                 .layers = 24,
                                 .width = 896,
                                 .heads = 14,
                                 .kv_heads = 2,
                                 .feed_forward = 4864,
                                 .vocabulary = 151936,
                                 .context_tokens = 4096,
                                 .rope_base = 1e6f,
                                 .matrices = DType::kQ4_K,
                                 .embedding = DType::kQ6_K,
                                 .blocks = RepeatedRows};
  TinyModelOptions seven = half;
  seven.layers = 28;
  seven.width = 3584;
  seven.heads = 28;
  seven.kv_heads = 4;
  seven.feed_forward = 18944;
  seven.vocabulary = 152064;
  seven.tied = false;
  seven.embedding = DType::kQ4_K;
  seven.output = DType::kQ6_K;
  seven.more_bits = DType::kQ6_K;
  // The same in small, to try a benchmark with.
  TinyModelOptions tiny = seven;
  tiny.layers = 1;
  tiny.width = 64;
  tiny.heads = 2;
  tiny.kv_heads = 1;
  tiny.feed_forward = 256;
  tiny.vocabulary = 384;
  tiny.context_tokens = 192;
  return {{"qwen2.5-0.5b", half}, {"qwen2.5-7b", seven}, {"tiny", tiny}};
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
