#include "worker/model/model_config.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <map>
#include <optional>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "kernels/half.h"
#include "proto/status/status_macros.h"
#include "worker/model/family.h"
#include "worker/model/gguf_parser.h"

namespace parity::model {

namespace {

constexpr int64_t kMaxLayers = 1024;
constexpr int64_t kMaxWidth = 1 << 18;
constexpr int64_t kMaxHeads = 4096;
constexpr int64_t kMaxHeadSize = 2048;
constexpr int64_t kMaxFeedForward = 1 << 20;
constexpr int64_t kMaxVocabulary = 4 << 20;
constexpr int64_t kMaxContext = 1 << 26;
constexpr absl::string_view kTokens = "tokenizer.ggml.tokens";

// Reads "<architecture>.<suffix>" keys with bounds; the first error is kept, later reads give
// defaults.
class Keys {
 public:
  Keys(const GgufFile& file, std::string architecture)
      : file_(file), architecture_(std::move(architecture)) {}

  // A missing key gives `absent`; when that is nullopt too, it is an error.
  int32_t Int(absl::string_view suffix, int64_t low, int64_t high,
              std::optional<int64_t> absent = std::nullopt) {
    const std::string key = Name(suffix);
    const auto value = file_.GetInt(key);
    if (!value.ok()) return Fail(value.status()), static_cast<int32_t>(low);
    const std::optional<int64_t> found = value->has_value() ? *value : absent;
    if (!found.has_value()) return Missing(key), static_cast<int32_t>(low);
    if (*found < low || *found > high) {
      Fail(absl::InvalidArgumentError(absl::StrCat(file_.name(), ": key '", key, "' is ", *found,
                                                   ", ", low, " to ", high, " expected")));
      return static_cast<int32_t>(low);
    }
    return static_cast<int32_t>(*found);
  }

  // Finite and in [low, high].
  float Float(absl::string_view suffix, double low, double high,
              std::optional<double> absent = std::nullopt) {
    const std::string key = Name(suffix);
    const auto value = file_.GetFloat(key);
    if (!value.ok()) return Fail(value.status()), 1.0f;
    const std::optional<double> found = value->has_value() ? *value : absent;
    if (!found.has_value()) return Missing(key), 1.0f;
    if (!(*found >= low && *found <= high)) {
      Fail(absl::InvalidArgumentError(absl::StrFormat("%s: key '%s' is %g, %g to %g expected",
                                                      file_.name(), key, *found, low, high)));
      return 1.0f;
    }
    return static_cast<float>(*found);
  }

  std::string Name(absl::string_view suffix) const {
    return absl::StrCat(architecture_, ".", suffix);
  }
  void Fail(absl::Status status) {
    if (status_.ok()) status_ = std::move(status);
  }
  const absl::Status& status() const { return status_; }

 private:
  void Missing(const std::string& key) {
    Fail(absl::InvalidArgumentError(absl::StrCat(file_.name(), ": key '", key,
                                                 "' is missing, expected for architecture '",
                                                 architecture_, "'")));
  }

  const GgufFile& file_;
  std::string architecture_;
  absl::Status status_;
};

absl::Status Unsupported(const GgufFile& file, absl::string_view what) {
  return absl::UnimplementedError(absl::StrCat(file.name(), ": ", what));
}

// A key whose value is neutral, or asks for what this forward pass does not compute. 0 is neutral
// too: llama.cpp's "absent".
struct RefusedKey {
  const char* suffix;
  double neutral;
};
constexpr RefusedKey kRefusedKeys[] = {
    {"attn_logit_softcapping", 0}, {"final_logit_softcapping", 0},  {"logit_scale", 1},
    {"residual_scale", 1},         {"embedding_scale", 1},          {"attention.scale", 0},
    {"attention.clamp_kqv", 0},    {"attention.max_alibi_bias", 0}, {"rope.scaling.attn_factor", 1},
};

// What a file of a known family can say that this forward pass does not compute.
absl::Status RefuseUnsupported(const GgufFile& file, const Family& family) {
  const std::string prefix = absl::StrCat(family.architecture, ".");
  ASSIGN_OR_RETURN(const auto experts, file.GetInt(prefix + "expert_count"));
  if (experts.value_or(0) != 0) {
    return Unsupported(file, absl::StrCat("mixture of experts (", prefix, "expert_count ", *experts,
                                          ") is not supported; supported: dense feed-forward"));
  }
  for (const RefusedKey& refused : kRefusedKeys) {
    const std::string key = prefix + refused.suffix;
    ASSIGN_OR_RETURN(const auto value, file.GetFloat(key));
    if (value.has_value() && *value != 0 && *value != refused.neutral) {
      return Unsupported(file, absl::StrFormat("key '%s' (%g) is not supported", key, *value));
    }
  }
  for (const char* suffix : {"nextn_predict_layers", "attention.shared_kv_layers"}) {
    ASSIGN_OR_RETURN(const auto value, file.GetInt(prefix + suffix));
    if (value.value_or(0) != 0) {
      return Unsupported(
          file, absl::StrCat("key '", prefix, suffix, "' (", *value, ") is not supported"));
    }
  }
  ASSIGN_OR_RETURN(const auto window, file.GetInt(prefix + "attention.sliding_window"));
  if (window.value_or(0) != 0 && family.window_pattern == 0) {
    return Unsupported(file, absl::StrCat("key '", prefix, "attention.sliding_window' (", *window,
                                          ") is not supported"));
  }
  ASSIGN_OR_RETURN(const auto causal, file.GetBool(prefix + "attention.causal"));
  if (!causal.value_or(true)) {
    return Unsupported(
        file, absl::StrCat("non-causal attention (", prefix, "attention.causal) is not supported"));
  }
  ASSIGN_OR_RETURN(const auto scaling, file.GetString(prefix + "rope.scaling.type"));
  if (scaling.has_value() && *scaling != "none" && *scaling != "linear") {
    return Unsupported(file, absl::StrCat("rope scaling ", QuoteUntrusted(*scaling),
                                          " is not supported; supported: none, linear"));
  }
  return absl::OkStatus();
}

// 1/factor of linear rope scaling. As llama.cpp: the older key counts when the newer is absent, 0
// means 1, and type "none" switches both off.
absl::StatusOr<float> RopeFreqScale(const GgufFile& file, Keys& keys) {
  ASSIGN_OR_RETURN(const auto type, file.GetString(keys.Name("rope.scaling.type")));
  const absl::string_view key =
      file.Has(keys.Name("rope.scaling.factor")) ? "rope.scaling.factor" : "rope.scale_linear";
  constexpr double kLow = 1e-6, kHigh = 1e6;  // beyond them an angle may overflow
  const float factor = keys.Float(key, 0.0, kHigh, 0.0);
  if (factor == 0.0f || (type.has_value() && *type == "none")) return 1.0f;
  if (factor < kLow) {
    return absl::InvalidArgumentError(absl::StrFormat("%s: key '%s' is %g, 0 or %g to %g expected",
                                                      file.name(), keys.Name(key), factor, kLow,
                                                      kHigh));
  }
  return 1.0f / factor;
}

// Which layers attend within the window: those the file lists, or all but each n-th.
absl::StatusOr<std::vector<bool>> WindowedLayers(const GgufFile& file, Keys& keys, int32_t layers,
                                                 int32_t pattern) {
  constexpr absl::string_view kPattern = "attention.sliding_window_pattern";
  std::vector<bool> windowed(layers);
  if (const auto size = file.GetArraySize(keys.Name(kPattern)); size.ok() && size->has_value()) {
    ASSIGN_OR_RETURN(const auto listed, file.GetIntArray(keys.Name(kPattern)));
    if (**size != layers) {
      return absl::InvalidArgumentError(absl::StrCat(file.name(), ": key '", keys.Name(kPattern),
                                                     "' has ", **size, " entries, ", layers,
                                                     " expected"));
    }
    for (int32_t i = 0; i < layers; ++i) windowed[i] = (*listed)[i] != 0;
    return windowed;
  }
  // 0: every layer; 1: none.
  const int32_t n = keys.Int(kPattern, 0, kMaxLayers, pattern);
  for (int32_t i = 0; i < layers; ++i) windowed[i] = n == 0 || i % n < n - 1;
  return windowed;
}

// Fills in the RoPE variants and the layers' table.
absl::Status ReadLayers(const GgufFile& file, const Family& family, Keys& keys, ModelConfig& c) {
  RopeConfig rope = {.base = keys.Float("rope.freq_base", 1.0, 1e12, 10000.0)};
  ASSIGN_OR_RETURN(rope.freq_scale, RopeFreqScale(file, keys));
  c.ropes = {rope};
  c.layer_table.resize(c.layers);
  if (family.window_pattern == 0) return absl::OkStatus();
  const int32_t window = keys.Int("attention.sliding_window", 0, kMaxContext, 0);
  if (window == 0) return absl::OkStatus();
  ASSIGN_OR_RETURN(const auto windowed,
                   WindowedLayers(file, keys, c.layers, family.window_pattern));
  // Not scaled: positions within a window are those the model was trained with.
  c.ropes.push_back({.base = keys.Float("rope.freq_base_swa", 1.0, 1e12, 10000.0)});
  for (int32_t i = 0; i < c.layers; ++i) {
    if (windowed[i]) c.layer_table[i] = {.window = window, .rope = 1};
  }
  return absl::OkStatus();
}

// llama.cpp computes both roots in float.
void SetScales(const Family& family, ModelConfig& c) {
  const bool by_width = c.layers == family.width_scaled_layers;
  const float scale =
      1.0f / std::sqrt(static_cast<float>(by_width ? c.width / c.heads : c.head_size));
  c.query_scale = family.scales_query ? scale : 1.0f;
  c.attention_scale = family.scales_query ? 1.0f : scale;
  if (family.scaled_embedding) c.embedding_scale = std::sqrt(static_cast<float>(c.width));
}

absl::StatusOr<int32_t> Vocabulary(const GgufFile& file, Keys& keys) {
  ASSIGN_OR_RETURN(const auto tokens, file.GetArraySize(kTokens));
  std::optional<int64_t> size = tokens;
  if (!size.has_value()) {
    if (const TensorInfo* embedding = file.FindTensor("token_embd.weight")) {
      size = embedding->ne[1];
    }
  }
  if (tokens.has_value() && (*tokens < 1 || *tokens > kMaxVocabulary)) {
    return absl::InvalidArgumentError(absl::StrCat(file.name(), ": key '", kTokens, "' has ",
                                                   *tokens, " entries, 1 to ", kMaxVocabulary,
                                                   " expected"));
  }
  // vocab_size may disagree with the list (padding): the list is what ids index.
  const int32_t declared = keys.Int("vocab_size", 1, kMaxVocabulary, size);
  return tokens.has_value() ? static_cast<int32_t>(*tokens) : declared;
}

absl::Status CheckHeads(const GgufFile& file, const ModelConfig& c, int32_t value_length) {
  if (c.heads % c.kv_heads != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat(file.name(), ": key '", c.architecture, ".attention.head_count' is ", c.heads,
                     ", a multiple of head_count_kv ", c.kv_heads, " expected"));
  }
  if (c.head_size % 2 != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat(file.name(), ": head size ", c.head_size, ", an even number expected"));
  }
  if (value_length != c.head_size) {
    return Unsupported(
        file, absl::StrCat("key '", c.architecture, ".attention.value_length' (", value_length,
                           ") other than the head size ", c.head_size, " is not supported"));
  }
  if (c.rope_dims != c.head_size) {
    return Unsupported(
        file, absl::StrCat("key '", c.architecture, ".rope.dimension_count' (", c.rope_dims,
                           ") other than the head size ", c.head_size, " is not supported"));
  }
  return absl::OkStatus();
}

std::string ShapeText(absl::Span<const int64_t> ne) {
  return absl::StrCat("[", absl::StrJoin(ne, ", "), "]");
}

// Looks tensors up by name and proves shape and type; the first error is kept.
class TensorFinder {
 public:
  TensorFinder(const GgufFile& file, const ModelConfig& config) : file_(file), config_(config) {}

  const TensorInfo* Matrix(const std::string& name, int64_t cols, int64_t rows) {
    const TensorInfo* tensor = Find(name, {cols, rows}, /*required=*/true);
    if (tensor == nullptr) return nullptr;
    const kernels::DTypeTraits* traits = kernels::FindDType(tensor->ggml_type);
    if (traits == nullptr || !traits->computable) {
      Fail(absl::UnimplementedError(
          absl::StrCat(file_.name(), ": tensor '", name, "' is of type ",
                       traits != nullptr ? traits->name : absl::StrCat(tensor->ggml_type),
                       ", which is not supported; supported: ", SupportedTypes())));
    }
    return tensor;
  }

  const TensorInfo* Vector(const std::string& name, int64_t size, bool required) {
    const TensorInfo* tensor = Find(name, {size}, required);
    if (tensor == nullptr) return nullptr;
    const auto type = static_cast<kernels::DType>(tensor->ggml_type);
    if (type != kernels::DType::kF32 && type != kernels::DType::kF16 &&
        type != kernels::DType::kBF16) {
      Fail(absl::UnimplementedError(absl::StrCat(file_.name(), ": tensor '", name, "' is of type ",
                                                 tensor->ggml_type,
                                                 ", F32, F16 or BF16 expected for a vector")));
    }
    return tensor;
  }

  // Tensors that nobody asked for belong to an operation this build does not compute.
  void RefuseOthers() {
    for (const TensorInfo& tensor : file_.tensors()) {
      if (seen_.contains(tensor.name)) continue;
      Fail(absl::UnimplementedError(absl::StrCat(
          file_.name(), ": tensor ", QuoteUntrusted(tensor.name), " is not part of the '",
          config_.architecture, "' model this build computes")));
    }
  }

  const absl::Status& status() const { return status_; }

 private:
  const TensorInfo* Find(const std::string& name, std::vector<int64_t> expected, bool required) {
    const TensorInfo* tensor = file_.FindTensor(name);
    seen_.insert(name);
    if (tensor == nullptr) {
      if (required) {
        Fail(absl::InvalidArgumentError(absl::StrCat(
            file_.name(), ": tensor '", name, "' is missing, ", ShapeText(expected), " expected")));
      }
      return nullptr;
    }
    expected.resize(4, 1);
    if (!std::equal(expected.begin(), expected.end(), tensor->ne)) {
      Fail(absl::InvalidArgumentError(absl::StrCat(file_.name(), ": tensor '", name, "' is ",
                                                   ShapeText(absl::MakeConstSpan(tensor->ne, 4)),
                                                   ", ", ShapeText(expected), " expected")));
      return nullptr;
    }
    return tensor;
  }

  static std::string SupportedTypes() {
    std::vector<std::string> names;
    for (const kernels::DTypeTraits& traits : kernels::AllDTypes()) {
      if (traits.computable) names.push_back(traits.name);
    }
    return absl::StrJoin(names, ", ");
  }

  void Fail(absl::Status status) {
    if (status_.ok()) status_ = std::move(status);
  }

  const GgufFile& file_;
  const ModelConfig& config_;
  absl::flat_hash_set<std::string> seen_;
  absl::Status status_;
};

LayerTensors FindLayer(TensorFinder& find, const ModelConfig& c, int32_t layer) {
  const std::string p = absl::StrCat("blk.", layer, ".");
  const int64_t q = int64_t{c.heads} * c.head_size;
  const int64_t kv = int64_t{c.kv_heads} * c.head_size;
  LayerTensors t;
  t.attn_norm = find.Vector(p + "attn_norm.weight", c.width, true);
  t.wq = find.Matrix(p + "attn_q.weight", c.width, q);
  t.wk = find.Matrix(p + "attn_k.weight", c.width, kv);
  t.wv = find.Matrix(p + "attn_v.weight", c.width, kv);
  t.wo = find.Matrix(p + "attn_output.weight", q, c.width);
  t.bq = find.Vector(p + "attn_q.bias", q, false);
  t.bk = find.Vector(p + "attn_k.bias", kv, false);
  t.bv = find.Vector(p + "attn_v.bias", kv, false);
  if (c.head_norms) {
    t.q_norm = find.Vector(p + "attn_q_norm.weight", c.head_size, true);
    t.k_norm = find.Vector(p + "attn_k_norm.weight", c.head_size, true);
  }
  if (c.post_norms) {
    t.attn_post_norm = find.Vector(p + "post_attention_norm.weight", c.width, true);
    t.ffn_post_norm = find.Vector(p + "post_ffw_norm.weight", c.width, true);
  }
  if (c.extra_biases) {
    t.bo = find.Vector(p + "attn_output.bias", c.width, false);
    t.gate_bias = find.Vector(p + "ffn_gate.bias", c.feed_forward, false);
    t.up_bias = find.Vector(p + "ffn_up.bias", c.feed_forward, false);
    t.down_bias = find.Vector(p + "ffn_down.bias", c.width, false);
  }
  t.ffn_norm = find.Vector(p + "ffn_norm.weight", c.width, true);
  t.gate = find.Matrix(p + "ffn_gate.weight", c.width, c.feed_forward);
  t.up = find.Matrix(p + "ffn_up.weight", c.width, c.feed_forward);
  t.down = find.Matrix(p + "ffn_down.weight", c.feed_forward, c.width);
  return t;
}

}  // namespace

absl::StatusOr<ModelConfig> ReadConfig(const GgufFile& file) {
  ASSIGN_OR_RETURN(const auto architecture, file.GetString("general.architecture"));
  if (!architecture.has_value()) {
    return absl::InvalidArgumentError(
        absl::StrCat(file.name(), ": key 'general.architecture' is missing"));
  }
  const Family* family = FindFamily(*architecture);
  if (family == nullptr) {
    return Unsupported(file,
                       absl::StrCat("architecture ", QuoteUntrusted(*architecture),
                                    " is not supported; supported: ", SupportedArchitectures()));
  }
  RETURN_IF_ERROR(RefuseUnsupported(file, *family));
  Keys keys(file, *architecture);
  ModelConfig c;
  c.architecture = *architecture;
  c.layers = keys.Int("block_count", 1, kMaxLayers);
  c.width = keys.Int("embedding_length", 1, kMaxWidth);
  c.heads = keys.Int("attention.head_count", 1, kMaxHeads);
  c.kv_heads = keys.Int("attention.head_count_kv", 1, c.heads, c.heads);
  c.head_size = keys.Int("attention.key_length", 1, kMaxHeadSize, c.width / c.heads);
  const int32_t value_length = keys.Int("attention.value_length", 1, kMaxHeadSize, c.head_size);
  c.feed_forward = keys.Int("feed_forward_length", 1, kMaxFeedForward);
  c.context_tokens = keys.Int("context_length", 1, kMaxContext);
  c.rms_epsilon = keys.Float("attention.layer_norm_rms_epsilon", 0.0, 1.0);
  c.rope_pairing = family->rope_pairing;
  c.rope_dims = keys.Int("rope.dimension_count", 1, kMaxHeadSize, c.head_size);
  RETURN_IF_ERROR(ReadLayers(file, *family, keys, c));
  ASSIGN_OR_RETURN(c.vocabulary, Vocabulary(file, keys));
  RETURN_IF_ERROR(keys.status());
  RETURN_IF_ERROR(CheckHeads(file, c, value_length));
  SetScales(*family, c);
  c.activation = family->activation;
  c.head_norms = family->head_norms;
  c.post_norms = family->post_norms;
  c.extra_biases = family->extra_biases;
  c.rope_factors = family->rope_factors;
  c.tied_embeddings = file.FindTensor("output.weight") == nullptr;
  return c;
}

absl::StatusOr<ModelTensors> FindTensors(const GgufFile& file, const ModelConfig& config) {
  if (file.FindTensor("blk.0.attn_qkv.weight") != nullptr) {
    return Unsupported(file,
                       "fused projection 'blk.0.attn_qkv.weight' is not supported; supported: "
                       "attn_q, attn_k and attn_v apart");
  }
  TensorFinder find(file, config);
  ModelTensors t;
  t.token_embd = find.Matrix("token_embd.weight", config.width, config.vocabulary);
  t.output = config.tied_embeddings ? t.token_embd
                                    : find.Matrix("output.weight", config.width, config.vocabulary);
  t.output_norm = find.Vector("output_norm.weight", config.width, true);
  if (config.rope_factors) {
    t.rope_freqs = find.Vector("rope_freqs.weight", config.rope_dims / 2, false);
  }
  for (int32_t i = 0; i < config.layers && find.status().ok(); ++i) {
    t.layers.push_back(FindLayer(find, config, i));
  }
  find.RefuseOthers();
  RETURN_IF_ERROR(find.status());
  return t;
}

std::string DominantWeightType(const GgufFile& file) {
  std::map<std::string, size_t> bytes;
  for (const TensorInfo& tensor : file.tensors()) {
    if (tensor.n_dims != 2) continue;
    if (const auto* traits = kernels::FindDType(tensor.ggml_type)) {
      bytes[traits->name] += tensor.bytes.size();
    }
  }
  const auto largest = std::max_element(
      bytes.begin(), bytes.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
  return largest == bytes.end() ? "" : largest->first;
}

std::vector<float> VectorValues(const TensorInfo& tensor) {
  std::vector<float> values(tensor.ne[0]);
  for (size_t i = 0; i < values.size(); ++i) {
    if (static_cast<kernels::DType>(tensor.ggml_type) == kernels::DType::kF32) {
      std::memcpy(&values[i], tensor.bytes.data() + 4 * i, 4);
      continue;
    }
    uint16_t half;
    std::memcpy(&half, tensor.bytes.data() + 2 * i, 2);
    values[i] = static_cast<kernels::DType>(tensor.ggml_type) == kernels::DType::kBF16
                    ? kernels::Bf16ToFloat(half)
                    : kernels::HalfToFloat(half);
  }
  return values;
}

}  // namespace parity::model
