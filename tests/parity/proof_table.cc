// Prints the proof as Markdown: every family with every weight type, and the real models that are
// in the cache. The README's table is what this printed.
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "kernels/dtype.h"
#include "tests/parity/gemma3.h"
#include "tests/parity/proof.h"
#include "tests/parity/smollm2.h"
#include "tests/testing/tiny_model.h"

namespace {

using parity::kernels::DTypeTraits;
using parity::testing::Proof;

// Worst figures of several proofs in one.
void Merge(const Proof& from, Proof& into) {
  into.values += from.values;
  into.measured += from.measured;
  into.worst.nmse = std::max(into.worst.nmse, from.worst.nmse);
  into.context.nmse = std::max(into.context.nmse, from.context.nmse);
  into.context_batch.nmse = std::max(into.context_batch.nmse, from.context_batch.nmse);
  into.context_batch.unexplained =
      std::max(into.context_batch.unexplained, from.context_batch.unexplained);
  into.ours.nmse_mean = std::max(into.ours.nmse_mean, from.ours.nmse_mean);
  into.floor.nmse_mean = std::max(into.floor.nmse_mean, from.floor.nmse_mean);
  into.ours.top1_equal += from.ours.top1_equal;
  into.floor.top1_equal += from.floor.top1_equal;
  into.ours.rows += from.ours.rows;
  into.floor.rows += from.floor.rows;
}

void PrintRow(const std::string& name, const Proof& p) {
  std::printf(
      "| %s | %lld / %lld | %.1e | %.1e | %.1e (%.1e) | %.1e, %lld/%lld | %.1e, %lld/%lld |\n",
      name.c_str(), static_cast<long long>(p.measured), static_cast<long long>(p.values),
      p.worst.nmse, p.context.nmse, p.context_batch.nmse, p.context_batch.unexplained,
      p.ours.nmse_mean, static_cast<long long>(p.ours.top1_equal),
      static_cast<long long>(p.ours.rows), p.floor.nmse_mean,
      static_cast<long long>(p.floor.top1_equal), static_cast<long long>(p.floor.rows));
  std::fflush(stdout);
}

void PrintHeader(const char* first) {
  std::printf(
      "\n| %s | measured / values | worst NMSE of an op | attn.context, token by token | "
      "attn.context, prompt in one (unexplained by flips) | end to end: logits NMSE, top-1 equal | "
      "llama.cpp's own floor: F16 against F32 cache |\n|---|---|---|---|---|---|---|\n",
      first);
}

// False, after a message, when the file cannot be proved.
bool Run(const std::string& name, const std::string& path,
         const parity::testing::Sequence& sequence, Proof& total) {
  const absl::StatusOr<Proof> proof = parity::testing::Prove(path, sequence);
  if (!proof.ok()) {
    std::fprintf(stderr, "%s: %s\n", name.c_str(), proof.status().ToString().c_str());
    return false;
  }
  Merge(*proof, total);
  return true;
}

// One row a type, the four families in it; a second table shows them apart.
bool SmallModels() {
  const std::string path =
      (std::filesystem::temp_directory_path() / absl::StrCat("proof-", getpid(), ".gguf")).string();
  std::string cells;
  PrintHeader("small models of 4 families");
  for (const DTypeTraits& traits : parity::kernels::AllDTypes()) {
    if (!traits.computable) continue;
    Proof total;
    absl::StrAppend(&cells, "| ", traits.name);
    for (const char* family : parity::testing::kFamilies) {
      const auto model = parity::testing::ProofModel(family, traits.dtype);
      Proof one;
      if (!WriteTinyModel(model, path).ok() || !Run(absl::StrCat(family, " ", traits.name), path,
                                                    parity::testing::ProofSequence(), one)) {
        return false;
      }
      absl::StrAppendFormat(&cells, " | %.1e (%d:%d)", std::max(one.worst.nmse, one.context.nmse),
                            model.heads, model.kv_heads);
      Merge(one, total);
    }
    absl::StrAppend(&cells, " |\n");
    PrintRow(traits.name, total);
  }
  std::filesystem::remove(path);
  std::printf(
      "\n| worst NMSE of any op (H:G) | llama | qwen2 | qwen3 | gemma3 "
      "|\n|---|---|---|---|---|\n%s",
      cells.c_str());
  return true;
}

bool RealModels() {
  PrintHeader("real models");
  if (const std::string why = parity::testing::WhyNoSmolLM2(); why.empty()) {
    Proof total;
    for (int prompt = 0; prompt < parity::testing::kPrompts; ++prompt) {
      if (!Run("SmolLM2", parity::testing::SmolLM2Path(), parity::testing::SmolLM2Sequence(prompt),
               total)) {
        return false;
      }
    }
    PrintRow("SmolLM2-135M Q4_1 (llama)", total);
  } else {
    std::fprintf(stderr, "%s\n", why.c_str());
  }
  if (const std::string why = parity::testing::WhyNoGemma3(); why.empty()) {
    Proof total;
    for (int prompt = 0; prompt < parity::testing::kGemmaPrompts; ++prompt) {
      if (!Run("Gemma 3", parity::testing::Gemma3Path(), parity::testing::Gemma3Sequence(prompt),
               total)) {
        return false;
      }
    }
    PrintRow("Gemma 3 270M Q4_K_M (gemma3)", total);
  } else {
    std::fprintf(stderr, "%s\n", why.c_str());
  }
  return true;
}

}  // namespace

int main() { return SmallModels() && RealModels() ? 0 : 1; }
