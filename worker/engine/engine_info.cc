#include "worker/engine/engine_info.h"

#include "absl/strings/str_cat.h"

namespace parity::engine {
namespace {

bool Computes(const model::ModelConfig& config, Stage stage) {
  switch (stage) {
    case Stage::kAttnQNorm:
    case Stage::kAttnKNorm:
      return config.head_norms;
    case Stage::kAttnPostNorm:
    case Stage::kMlpPostNorm:
      return config.post_norms;
    default:
      return true;
  }
}

// In forward order, as the stages are.
std::vector<checkpoint::Name> Checkpoints(const model::ModelConfig& config) {
  std::vector<checkpoint::Name> names = {{Stage::kEmbed, -1}};
  for (int32_t layer = 0; layer < config.layers; ++layer) {
    for (const checkpoint::StageTraits& traits : checkpoint::Stages()) {
      if (traits.in_layer && Computes(config, traits.stage)) names.push_back({traits.stage, layer});
    }
  }
  names.push_back({Stage::kFinalNorm, -1});
  names.push_back({Stage::kLogits, -1});
  return names;
}

}  // namespace

std::string KvTypeName(kernels::KvType type) {
  return type == kernels::KvType::kF16 ? "f16" : "f32";
}

std::string NativeActivationPrecision(const std::string& weight_type) {
  if (weight_type == "F32") return "f32";
  if (weight_type == "F16") return "f16";
  if (weight_type == "BF16") return "bf16";
  return "int8";
}

EngineInfo DescribeEngine(const model::GgufFile& file, const model::ModelConfig& config,
                          const kernels::Backend& backend, kernels::KvType kv_type) {
  const bool native = backend.numerics() == kernels::Numerics::kNative;
  EngineInfo info;
  info.engine = backend.name();
  info.architecture = config.architecture;
  info.weight_type = model::DominantWeightType(file);
  info.kv_type = KvTypeName(kv_type);
  info.activation_precision = native ? NativeActivationPrecision(info.weight_type) : "f32";
  info.attention = "plain";
  info.numerics = native ? "native" : "f32";
  info.compute_path = backend.compute_path();
  info.threads = backend.threads();
  info.layers = config.layers;
  info.width = config.width;
  info.heads = config.heads;
  info.kv_heads = config.kv_heads;
  info.head_size = config.head_size;
  info.feed_forward = config.feed_forward;
  info.vocabulary = config.vocabulary;
  info.context_tokens = config.context_tokens;
  info.checkpoints = Checkpoints(config);
  return info;
}

absl::Status CheckStep(absl::Span<const int32_t> ids, int32_t position, int32_t capacity,
                       int32_t max_step_tokens, int32_t vocabulary) {
  if (ids.empty()) return absl::InvalidArgumentError("token ids: found none, expected at least 1");
  if (ids.size() > static_cast<size_t>(max_step_tokens)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "token ids: found ", ids.size(), ", expected at most ", max_step_tokens, " a step"));
  }
  for (size_t i = 0; i < ids.size(); ++i) {
    if (ids[i] < 0 || ids[i] >= vocabulary) {
      return absl::InvalidArgumentError(
          absl::StrCat("token ids[", i, "]: found ", ids[i], ", expected 0 to ", vocabulary - 1));
    }
  }
  if (static_cast<int64_t>(ids.size()) > int64_t{capacity} - position) {
    return absl::OutOfRangeError(absl::StrCat("session holds ", position, " tokens of ", capacity,
                                              ": no room for ", ids.size(), " more"));
  }
  return absl::OkStatus();
}

absl::Status CheckCapacity(int32_t capacity, int32_t context_tokens) {
  if (capacity >= 1 && capacity <= context_tokens) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("session capacity: found ", capacity,
                                                 ", expected 1 to ", context_tokens, " tokens"));
}

}  // namespace parity::engine
