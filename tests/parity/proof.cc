#include "tests/parity/proof.h"

#include <algorithm>
#include <iterator>
#include <memory>
#include <utility>

#include "kernels/cpu/cpu_backend.h"
#include "proto/status/status_macros.h"
#include "tests/testing/ggml_quantize.h"
#include "worker/engine/backend_engine.h"
#include "worker/engine/recorder.h"
#include "worker/llama/llama_engine.h"
#include "worker/model/gguf_file.h"
#include "worker/model/model_config.h"

namespace parity::testing {
namespace {

constexpr int32_t kRatios[] = {1, 2, 7, 9};
constexpr int32_t kTokens = 40;

// One thread each: barriers collapse where neighbours are busy (minutes for seconds). The bits do
// not depend on it.
absl::StatusOr<std::unique_ptr<engine::Engine>> Llama(const std::string& path,
                                                      kernels::KvType kv_type) {
  return llama::LlamaEngine::Create(path, {.threads = 1, .kv_type = kv_type});
}

struct Ours {
  std::unique_ptr<engine::Engine> engine;
  model::ModelConfig config;
};

absl::StatusOr<Ours> OpenOurs(const std::string& path) {
  ASSIGN_OR_RETURN(std::shared_ptr<const model::GgufFile> file, model::GgufFile::Open(path));
  Ours ours;
  ASSIGN_OR_RETURN(ours.config, model::ReadConfig(*file));
  ASSIGN_OR_RETURN(auto backend, kernels::CpuBackend::Create({.threads = 1}));
  ASSIGN_OR_RETURN(ours.engine,
                   engine::BackendEngine::Create(std::move(file), std::move(backend), {}));
  return ours;
}

bool LogitsOnly(Stage stage, int32_t) { return stage == Stage::kLogits; }

absl::StatusOr<engine::Recording> Logits(engine::Engine& engine, const Sequence& sequence) {
  engine::Recorder recorder(LogitsOnly);
  RETURN_IF_ERROR(Follow(engine, sequence, &recorder).status());
  return recorder.Take();
}

absl::StatusOr<LogitsDistance> Compare(const engine::Recording& reference,
                                       const engine::Recording& candidate, int32_t tokens) {
  LogitsComparison comparison;
  for (int32_t position = 0; position < tokens; ++position) {
    const auto* a = reference.Find(Stage::kLogits, -1, position);
    const auto* b = candidate.Find(Stage::kLogits, -1, position);
    if (a == nullptr || b == nullptr) return absl::InternalError("logits were not recorded");
    comparison.Add(*a, *b);
  }
  return comparison.Result();
}

void Worst(const SiteError& site, SiteError& worst) {
  const double unexplained = std::max(worst.unexplained, site.unexplained);
  if (!(site.nmse <= worst.nmse) || worst.nmse == 0) worst = site;
  worst.unexplained = unexplained;
}

void Add(const ShadowFindings& found, SiteError& context, Proof& proof) {
  proof.measured += found.measured;
  for (const SiteError& site : found.sites) {
    Worst(site, site.stage == Stage::kAttnContext ? context : proof.worst);
  }
}

absl::StatusOr<LockstepFindings> Lockstep(engine::Engine& llama, const Ours& ours,
                                          const Sequence& sequence) {
  const int32_t count = static_cast<int32_t>(sequence.ids.size());
  ASSIGN_OR_RETURN(const auto theirs, llama.NewSession(count));
  ASSIGN_OR_RETURN(const auto session, ours.engine->NewSession(count));
  const auto all = [](Stage, int32_t) { return true; };
  const auto no_logits = [](Stage stage, int32_t) { return stage != Stage::kLogits; };
  std::vector<float> row(ours.config.vocabulary);
  engine::Recording step;
  ShadowObserver pieces(step, ours.config, no_logits), single(step, ours.config);
  while (theirs->position() < count) {
    const bool several = theirs->position() < sequence.prompt && sequence.piece != 1;
    engine::Recorder recorder(several ? engine::Recorder::Filter(no_logits) : all);
    RETURN_IF_ERROR(FollowStep(*theirs, sequence, &recorder, absl::MakeSpan(row)).status());
    step = recorder.Take();
    ShadowObserver& shadow = several ? pieces : single;
    RETURN_IF_ERROR(FollowStep(*session, sequence, &shadow, absl::MakeSpan(row)).status());
  }
  return LockstepFindings{pieces.Findings(), single.Findings()};
}

}  // namespace

TinyModelOptions ProofModel(const std::string& family, kernels::DType dtype) {
  const auto types = kernels::AllDTypes();
  const size_t type =
      std::find_if(types.begin(), types.end(), [&](const auto& t) { return t.dtype == dtype; }) -
      types.begin();
  const size_t row = std::find(std::begin(kFamilies), std::end(kFamilies), family) - kFamilies;
  const int32_t ratio = kRatios[(type + row) % std::size(kRatios)];
  const int32_t block = kernels::Traits(dtype).block_elements;
  TinyModelOptions o;
  o.architecture = family;
  o.kv_heads = ratio == 1 ? 3 : ratio == 2 ? 2 : 1;
  o.heads = ratio * o.kv_heads;
  o.head_size = block == 1 ? 22 : 32;
  o.width = block == 1 ? 90 : block == 32 ? 288 : 256;
  o.feed_forward = block == 1 ? 134 : block == 32 ? 352 : 512;
  // qwen2 files cannot say otherwise: libllama takes H * K to be D.
  if (family == "qwen2") o.width = o.heads * o.head_size;
  o.layers = family == "gemma3" ? 3 : 2;
  o.window_pattern = 3;
  o.vocabulary = 321;
  o.tied = type % 2 == 0;
  o.rope_freqs = family == "llama";
  o.biases = o.mlp_biases = family == "llama" && type % 2 == 1;
  o.outlier = 12.0f;
  o.matrices = o.embedding = o.output = dtype;
  o.encode = EncodeByGgml;
  o.seed = 100 * row + type;
  return o;
}

Sequence ProofSequence() {
  static const std::vector<int32_t>& ids = *[] {
    auto* made = new std::vector<int32_t>;
    for (int i = 0; i < kTokens; ++i) made->push_back((i * 37 + 11) % 320);
    return made;
  }();
  return {.ids = ids, .prompt = 24};
}

absl::StatusOr<LockstepFindings> ShadowInLockstep(const std::string& path,
                                                  const Sequence& sequence) {
  ASSIGN_OR_RETURN(const auto llama, Llama(path, kernels::KvType::kF16));
  ASSIGN_OR_RETURN(const Ours ours, OpenOurs(path));
  return Lockstep(*llama, ours, sequence);
}

absl::StatusOr<Proof> Prove(const std::string& path, const Sequence& sequence) {
  const int32_t tokens = static_cast<int32_t>(sequence.ids.size());
  ASSIGN_OR_RETURN(auto llama, Llama(path, kernels::KvType::kF16));
  ASSIGN_OR_RETURN(const Ours ours, OpenOurs(path));
  Proof proof;
  proof.values = 2 * int64_t{tokens} * static_cast<int64_t>(llama->info().checkpoints.size());

  Sequence one_by_one = sequence;
  one_by_one.piece = 1;
  ASSIGN_OR_RETURN(const LockstepFindings decode, Lockstep(*llama, ours, one_by_one));
  Add(decode.single, proof.context, proof);

  engine::Recorder full;
  RETURN_IF_ERROR(Follow(*llama, sequence, &full).status());
  ShadowObserver shadow(full.recording(), ours.config);
  RETURN_IF_ERROR(Follow(*ours.engine, sequence, &shadow).status());
  Add(shadow.Findings(), proof.context_batch, proof);

  ASSIGN_OR_RETURN(const engine::Recording free, Logits(*ours.engine, sequence));
  ASSIGN_OR_RETURN(proof.ours, Compare(full.recording(), free, tokens));
  llama.reset();
  ASSIGN_OR_RETURN(const auto other, Llama(path, kernels::KvType::kF32));
  ASSIGN_OR_RETURN(const engine::Recording exact, Logits(*other, sequence));
  ASSIGN_OR_RETURN(proof.floor, Compare(full.recording(), exact, tokens));
  return proof;
}

}  // namespace parity::testing
