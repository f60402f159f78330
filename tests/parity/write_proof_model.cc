// Writes one of the proof's small models, or lists the weight types there are.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <string>

#include "absl/status/status.h"
#include "kernels/dtype.h"
#include "tests/parity/proof.h"
#include "tests/testing/tiny_model.h"

namespace {

using parity::kernels::DTypeTraits;

void List() {
  for (const DTypeTraits& traits : parity::kernels::AllDTypes()) {
    if (traits.computable) std::printf("%s\n", traits.name);
  }
}

absl::Status Write(const std::string& family, const std::string& type, const std::string& path) {
  for (const DTypeTraits& traits : parity::kernels::AllDTypes()) {
    if (type == traits.name) {
      return WriteTinyModel(parity::testing::ProofModel(family, traits.dtype), path);
    }
  }
  return absl::InvalidArgumentError("no such type: " + type);
}

}  // namespace

int main(int argc, char** argv) {
  std::string family = "llama", type = "F32", path;
  bool list = false;
  CLI::App app("Writes a small model of the proof.");
  app.add_flag("--list", list, "Print the weight types and do nothing else");
  app.add_option("--family", family, "llama, qwen2, qwen3 or gemma3");
  app.add_option("--type", type, "Weight type");
  app.add_option("path", path, "File to write");
  CLI11_PARSE(app, argc, argv);
  if (list) return List(), 0;
  const absl::Status status = Write(family, type, path);
  if (!status.ok()) std::fprintf(stderr, "%s\n", status.ToString().c_str());
  return status.ok() ? 0 : 1;
}
