#include "tests/parity/smollm2.h"

#include <glog/logging.h>

#include <utility>

#include "proto/status/status_macros.h"
#include "tests/parity/model_cache.h"
#include "worker/engine/backend_engine.h"
#include "worker/llama/llama_engine.h"

namespace parity::testing {
namespace {

constexpr int32_t kPromptTokens = 40;
constexpr int32_t kTokens = 64;

// The first 64 ids that libllama's tokenizer makes of:
// "The harbour was quiet that morning. A single boat, its sails patched with grey cloth, ..."
// "def merge_sorted(left, right):\n    \"\"\"Merges two sorted lists.\"\"\"\n    result, i, j = [],
// 0, 0\n ..." "Gruesse aus Muenchen! <rocket> Das Cafe oeffnet um 8 Uhr ...", with umlauts,
// accents, emoji, Japanese and Russian.
constexpr int32_t kIds[kPrompts][kTokens] = {
    {504,   28899, 436,   8354,  338,   5738, 30,    330,  2244, 9741, 28,   624,  38203,
     987,   2823,  351,   13917, 11244, 28,   47424, 1896, 260,  2373, 3510, 979,  260,
     1573,  40061, 17288, 310,   32942, 335,  260,   4923, 30,   909,  761,  3485, 986,
     3156,  338,   12862, 13569, 2253,  281,  1165,  1853, 42,   253,  1363, 281,  260,
     10545, 282,   260,   913,   28,    253,  44560, 1486, 260,  4255, 28,   253},
    {1604, 16905, 79,   25488, 24,    8842, 28, 1048, 727,  472,   1620, 61, 881,  266, 827,  13156,
     8639, 7996,  472,  966,   28,    2056, 28, 544,  446,  15261, 216,  32, 28,   216, 32,   472,
     979,  2056,  2067, 3858,  24,    8842, 25, 284,  544,  2067,  3858, 24, 2771, 727, 448,  585,
     2049, 75,    89,   77,    10204, 1048, 75, 90,   7036, 629,   966,  30, 3137, 24,  8842, 75},
    {27302, 7170,  34878, 85,   253,   376,   30919, 94,    7554,  17,    15107, 244,   218,
     31831, 48031, 2756,  5549, 131,   484,   4205,  26969, 216,   40,    514,   12743, 816,
     23708, 8489,  42623, 1632, 264,   20306, 28,    29173, 100,   26336, 26547, 30,    17097,
     241,   115,   40993, 179,  120,   248,   26453, 11100, 224,   10391, 251,   10391, 134,
     11100, 226,   10391, 220,  16357, 121,   7365,  139,   10391, 230,   7365,  116}};

engine::Recording Capture(int prompt) {
  // One thread: libgomp's barriers spin, which collapses where neighbours are busy. The bits do not
  // depend on it.
  auto llama = llama::LlamaEngine::Create(SmolLM2Path(), {.threads = 1});
  CHECK(llama.ok()) << llama.status().ToString();
  engine::Recorder recorder;
  const auto logits = Follow(**llama, SmolLM2Sequence(prompt), &recorder);
  CHECK(logits.ok()) << logits.status().ToString();
  return recorder.Take();
}

}  // namespace

Sequence SmolLM2Sequence(int prompt) { return {.ids = kIds[prompt], .prompt = kPromptTokens}; }

std::string SmolLM2Path() { return CachedModelPath("SmolLM2-135M-Instruct.Q4_1.gguf"); }

std::string WhyNoSmolLM2() { return WhyNoModel(SmolLM2Path(), "smollm2"); }

const engine::Recording& LlamaCapture(int prompt) {
  static std::unique_ptr<engine::Recording> captures[kPrompts];
  if (captures[prompt] == nullptr) {
    captures[prompt] = std::make_unique<engine::Recording>(Capture(prompt));
  }
  return *captures[prompt];
}

absl::StatusOr<std::unique_ptr<engine::Engine>> CpuEngine(
    const kernels::CpuOptions& options, kernels::KvType kv_type,
    std::shared_ptr<const model::GgufFile> file) {
  if (file == nullptr) {
    ASSIGN_OR_RETURN(file, model::GgufFile::Open(SmolLM2Path()));
  }
  ASSIGN_OR_RETURN(auto backend, kernels::CpuBackend::Create(options));
  return engine::BackendEngine::Create(std::move(file), std::move(backend), {.kv_type = kv_type});
}

}  // namespace parity::testing
