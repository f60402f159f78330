// Writes a small random model for the end-to-end stories.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <string>

#include "absl/status/status.h"
#include "kernels/dtype.h"
#include "tests/testing/tiny_model.h"

namespace {

// Type of that name; F32 is checked by CLI11 to be one of the names offered.
parity::kernels::DType TypeNamed(const std::string& name) {
  for (const parity::kernels::DTypeTraits& traits : parity::kernels::AllDTypes()) {
    if (name == traits.name) return traits.dtype;
  }
  return parity::kernels::DType::kF32;
}

}  // namespace

int main(int argc, char** argv) {
  parity::testing::TinyModelOptions options;
  options.context_tokens = 512;
  std::string type = "F32", path;
  CLI::App app("Writes a small random llama model.");
  app.add_option("--type", type, "Weight type")
      ->check(CLI::IsMember({"F32", "F16", "BF16", "Q4_0", "Q4_1", "Q8_0"}));
  app.add_option("--layers", options.layers, "Layers");
  app.add_option("--seed", options.seed, "Seed of the weights");
  app.add_option("--context", options.context_tokens, "Context length");
  app.add_option("path", path, "File to write")->required();
  CLI11_PARSE(app, argc, argv);
  options.matrices = options.embedding = options.output = TypeNamed(type);
  const absl::Status status = parity::testing::WriteTinyModel(options, path);
  if (!status.ok()) {
    std::fprintf(stderr, "%s\n", status.ToString().c_str());
    return 1;
  }
  return 0;
}
