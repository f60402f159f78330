#include "worker/llama/node_map.h"

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace parity::llama {
namespace {

using checkpoint::Name;
using checkpoint::Stage;

struct NodeRule {
  const char* base;  // node name without "-{layer}"
  const char* op;    // nullptr: any
  Stage stage;
};

// Nodes whose name and op are enough. kqv_out is a CONT (flash attention: RESHAPE); l_out a sum or,
// with a control vector, another.
constexpr NodeRule kRules[] = {
    {"attn_norm", "MUL", Stage::kAttnNorm},
    {"Qcur", "ROPE", Stage::kAttnQRope},
    {"Kcur", "ROPE", Stage::kAttnKRope},
    {"Qcur_normed", "MUL", Stage::kAttnQNorm},
    {"Kcur_normed", "MUL", Stage::kAttnKNorm},
    {"kqv_out", nullptr, Stage::kAttnContext},
    {"kqv_merged_cont", nullptr, Stage::kAttnContext},  // builds of early 2025
    {"attn_post_norm", "MUL", Stage::kAttnPostNorm},
    {"ffn_inp", "ADD", Stage::kAttnResidual},
    {"sa_out", "ADD", Stage::kAttnResidual},  // gemma3
    {"ffn_norm", "MUL", Stage::kMlpNorm},
    {"ffn_swiglu", nullptr, Stage::kMlpAct},
    {"ffn_geglu", nullptr, Stage::kMlpAct},
    {"ffn_gate_par", "MUL", Stage::kMlpAct},  // builds of early 2025
    {"ffn_post_norm", "MUL", Stage::kMlpPostNorm},
    {"l_out", nullptr, Stage::kLayerOut},
};

// Projections: the product, or the sum with its bias where the model has one. The result of
// attn_output is unnamed in several architectures and the bias sums of the MLP change names, so
// these are known by the weight they read.
struct ProjectionRule {
  const char* part;  // "blk.{layer}.{part}.weight"
  const char* base;  // node name of a fused projection's view; nullptr: none
  Stage stage;
};

constexpr ProjectionRule kProjections[] = {
    {"attn_q", "Qcur", Stage::kAttnQ},      {"attn_k", "Kcur", Stage::kAttnK},
    {"attn_v", "Vcur", Stage::kAttnV},      {"attn_output", nullptr, Stage::kAttnOut},
    {"ffn_gate", nullptr, Stage::kMlpGate}, {"ffn_up", nullptr, Stage::kMlpUp},
    {"ffn_down", nullptr, Stage::kMlpDown},
};

// Splits "Qcur-3" into "Qcur" and 3; layer is -1 when there is no such ending.
absl::string_view SplitName(absl::string_view name, int32_t& layer) {
  layer = -1;
  const size_t dash = name.rfind('-');
  int32_t number;
  if (dash == absl::string_view::npos || !absl::SimpleAtoi(name.substr(dash + 1), &number) ||
      number < 0) {
    return name;
  }
  layer = number;
  return name.substr(0, dash);
}

// Splits "blk.3.attn_q.weight" into 3 and "attn_q.weight"; layer is -1 when it is not of that form.
absl::string_view SplitWeight(absl::string_view weight, int32_t& layer) {
  layer = -1;
  if (!absl::ConsumePrefix(&weight, "blk.")) return weight;
  const size_t dot = weight.find('.');
  int32_t number;
  if (dot == absl::string_view::npos || !absl::SimpleAtoi(weight.substr(0, dot), &number)) {
    return weight;
  }
  layer = number;
  return weight.substr(dot + 1);
}

}  // namespace

NodeMap::NodeMap(absl::string_view architecture, int32_t layers,
                 const std::vector<std::string>& tensor_names)
    : scaled_embedding_(absl::StartsWith(architecture, "gemma")),
      layers_(layers),
      tensors_(tensor_names.begin(), tensor_names.end()) {
  ListCheckpoints();
}

bool NodeMap::HasTensor(int32_t layer, absl::string_view part) const {
  return tensors_.contains(absl::StrCat("blk.", layer, ".", part));
}

void NodeMap::ListCheckpoints() {
  checkpoints_.push_back({Stage::kEmbed, -1});
  for (int32_t i = 0; i < layers_; ++i) {
    const auto add = [&](bool exists, Stage stage) {
      if (exists) checkpoints_.push_back({stage, i});
    };
    const bool gated = HasTensor(i, "ffn_gate.weight") && HasTensor(i, "ffn_up.weight");
    add(HasTensor(i, "attn_norm.weight"), Stage::kAttnNorm);
    for (Stage stage : {Stage::kAttnQ, Stage::kAttnK, Stage::kAttnV}) add(true, stage);
    add(HasTensor(i, "attn_q_norm.weight"), Stage::kAttnQNorm);
    add(HasTensor(i, "attn_k_norm.weight"), Stage::kAttnKNorm);
    for (Stage stage : {Stage::kAttnQRope, Stage::kAttnKRope, Stage::kAttnContext}) {
      add(true, stage);
    }
    add(HasTensor(i, "attn_output.weight"), Stage::kAttnOut);
    add(HasTensor(i, "post_attention_norm.weight"), Stage::kAttnPostNorm);
    add(true, Stage::kAttnResidual);
    add(HasTensor(i, "ffn_norm.weight"), Stage::kMlpNorm);
    for (Stage stage : {Stage::kMlpGate, Stage::kMlpUp, Stage::kMlpAct}) add(gated, stage);
    add(HasTensor(i, "ffn_down.weight"), Stage::kMlpDown);
    add(HasTensor(i, "post_ffw_norm.weight"), Stage::kMlpPostNorm);
    add(true, Stage::kLayerOut);
  }
  checkpoints_.push_back({Stage::kFinalNorm, -1});
  checkpoints_.push_back({Stage::kLogits, -1});
}

std::optional<Stage> NodeMap::FindProjection(const GraphNode& node, int32_t layer,
                                             absl::string_view base) const {
  int32_t weight_layer;
  const absl::string_view weight = SplitWeight(node.weight, weight_layer);
  for (const ProjectionRule& rule : kProjections) {
    // A view of a fused projection is the value itself; elsewhere the views repeat what was seen.
    if (rule.base != nullptr && node.op == "VIEW" && base == rule.base &&
        HasTensor(layer, "attn_qkv.weight")) {
      return rule.stage;
    }
    if (weight_layer < 0) continue;
    const std::string bias = absl::StrCat(rule.part, ".bias");
    if (node.op == "ADD" && weight == bias) return rule.stage;
    if (node.op == "MUL_MAT" && weight == absl::StrCat(rule.part, ".weight") &&
        !HasTensor(weight_layer, bias)) {
      return rule.stage;
    }
  }
  return std::nullopt;
}

std::optional<Name> NodeMap::Find(const GraphNode& node) const {
  if (node.name == "result_norm") return Name{Stage::kFinalNorm, -1};
  if (node.name == "result_output") return Name{Stage::kLogits, -1};
  if (node.name == "inp_scaled" && scaled_embedding_) return Name{Stage::kEmbed, -1};
  if ((node.name == "embd" || node.name == "inp_embd") && node.op == "GET_ROWS" &&
      !scaled_embedding_) {
    return Name{Stage::kEmbed, -1};
  }
  int32_t layer;
  const absl::string_view base = SplitName(node.name, layer);
  if (node.op == "MUL_MAT" || node.op == "ADD" || node.op == "VIEW") {
    if (const auto stage = FindProjection(node, layer, base)) {
      if (node.op != "VIEW") SplitWeight(node.weight, layer);
      if (layer < 0 || layer >= layers_) return std::nullopt;
      return Name{*stage, layer};
    }
  }
  if (layer < 0 || layer >= layers_) return std::nullopt;
  for (const NodeRule& rule : kRules) {
    if (base == rule.base && (rule.op == nullptr || node.op == rule.op)) {
      return Name{rule.stage, layer};
    }
  }
  return std::nullopt;
}

}  // namespace parity::llama
