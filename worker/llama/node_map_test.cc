// The expected pairs were read off llama.cpp v0.5.0's graphs (src/models, src/llama-graph.cpp).
#include "worker/llama/node_map.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace parity::llama {
namespace {

using checkpoint::Name;
using checkpoint::Stage;

std::vector<std::string> Tensors(int layers, const std::vector<std::string>& extra) {
  std::vector<std::string> names = {"token_embd.weight", "output_norm.weight"};
  for (int i = 0; i < layers; ++i) {
    std::vector<std::string> parts = {"attn_norm.weight", "attn_q.weight",      "attn_k.weight",
                                      "attn_v.weight",    "attn_output.weight", "ffn_norm.weight",
                                      "ffn_gate.weight",  "ffn_up.weight",      "ffn_down.weight"};
    parts.insert(parts.end(), extra.begin(), extra.end());
    for (const std::string& part : parts) names.push_back(absl::StrCat("blk.", i, ".", part));
  }
  return names;
}

std::string Found(const NodeMap& map, absl::string_view name, absl::string_view op,
                  absl::string_view weight = "") {
  const auto found = map.Find({name, op, weight});
  return found ? checkpoint::ToString(*found) : "-";
}

TEST(NodeMapTest, LlamaGraphOneNodeACheckpoint) {
  const NodeMap map("llama", 4, Tensors(4, {}));
  EXPECT_EQ(Found(map, "embd", "GET_ROWS", "token_embd.weight"), "embed");
  EXPECT_EQ(Found(map, "norm-3", "RMS_NORM"), "-");
  EXPECT_EQ(Found(map, "attn_norm-3", "MUL", "blk.3.attn_norm.weight"), "layer.3.attn.norm");
  EXPECT_EQ(Found(map, "Qcur-3", "MUL_MAT", "blk.3.attn_q.weight"), "layer.3.attn.q");
  EXPECT_EQ(Found(map, "Qcur-3", "RESHAPE"), "-");
  EXPECT_EQ(Found(map, "Qcur-3 (view)", "VIEW"), "-");
  EXPECT_EQ(Found(map, "Qcur-3", "ROPE"), "layer.3.attn.q_rope");
  EXPECT_EQ(Found(map, "Vcur-3", "MUL_MAT", "blk.3.attn_v.weight"), "layer.3.attn.v");
  EXPECT_EQ(Found(map, "Vcur-3", "RESHAPE"), "-");
  EXPECT_EQ(Found(map, "Kcur-3", "MUL_MAT", "blk.3.attn_k.weight"), "layer.3.attn.k");
  EXPECT_EQ(Found(map, "Kcur-3", "ROPE"), "layer.3.attn.k_rope");
  EXPECT_EQ(Found(map, "kq-3", "MUL_MAT"), "-");
  EXPECT_EQ(Found(map, "kq_soft_max-3", "SOFT_MAX"), "-");
  EXPECT_EQ(Found(map, "kqv-3", "MUL_MAT"), "-");
  EXPECT_EQ(Found(map, "kqv_out-3", "CONT"), "layer.3.attn.context");
  EXPECT_EQ(Found(map, "attn_out-3", "MUL_MAT", "blk.3.attn_output.weight"), "layer.3.attn.out");
  EXPECT_EQ(Found(map, "node_99", "GET_ROWS"), "-");
  EXPECT_EQ(Found(map, "ffn_inp-3", "ADD"), "layer.3.attn.residual");
  EXPECT_EQ(Found(map, "ffn_norm-3", "MUL", "blk.3.ffn_norm.weight"), "layer.3.mlp.norm");
  EXPECT_EQ(Found(map, "ffn_gate-3", "MUL_MAT", "blk.3.ffn_gate.weight"), "layer.3.mlp.gate");
  EXPECT_EQ(Found(map, "ffn_up-3", "MUL_MAT", "blk.3.ffn_up.weight"), "layer.3.mlp.up");
  EXPECT_EQ(Found(map, "ffn_swiglu-3", "SWIGLU"), "layer.3.mlp.act");
  EXPECT_EQ(Found(map, "ffn_out-3", "MUL_MAT", "blk.3.ffn_down.weight"), "layer.3.mlp.down");
  EXPECT_EQ(Found(map, "l_out-3", "ADD"), "layer.3.out");
  EXPECT_EQ(Found(map, "norm", "RMS_NORM"), "-");
  EXPECT_EQ(Found(map, "result_norm", "MUL", "output_norm.weight"), "final.norm");
  EXPECT_EQ(Found(map, "result_output", "MUL_MAT", "token_embd.weight"), "logits");
  EXPECT_EQ(map.checkpoints().size(), 3u + 4 * 15);
}

TEST(NodeMapTest, BiasMovesTheCheckpointToTheSum) {
  const NodeMap map("qwen2", 1, Tensors(1, {"attn_q.bias", "attn_output.bias"}));
  EXPECT_EQ(Found(map, "Qcur-0", "MUL_MAT", "blk.0.attn_q.weight"), "-");
  EXPECT_EQ(Found(map, "Qcur-0", "ADD", "blk.0.attn_q.bias"), "layer.0.attn.q");
  EXPECT_EQ(Found(map, "Kcur-0", "MUL_MAT", "blk.0.attn_k.weight"), "layer.0.attn.k");
  EXPECT_EQ(Found(map, "node_31", "MUL_MAT", "blk.0.attn_output.weight"), "-");
  EXPECT_EQ(Found(map, "attn_out-0", "ADD", "blk.0.attn_output.bias"), "layer.0.attn.out");
}

TEST(NodeMapTest, UnnamedOutputProjectionIsKnownByItsWeight) {
  const NodeMap map("qwen3", 2, Tensors(2, {"attn_q_norm.weight", "attn_k_norm.weight"}));
  EXPECT_EQ(Found(map, "node_63", "MUL_MAT", "blk.1.attn_output.weight"), "layer.1.attn.out");
  EXPECT_EQ(Found(map, "Qcur_normed-1", "MUL", "blk.1.attn_q_norm.weight"), "layer.1.attn.q_norm");
  EXPECT_EQ(Found(map, "norm-1", "RMS_NORM"), "-");
  EXPECT_EQ(map.checkpoints().size(), 3u + 2 * 17);
}

TEST(NodeMapTest, Gemma3HasScaledEmbeddingAndPostNorms) {
  const NodeMap map("gemma3", 1,
                    Tensors(1, {"post_attention_norm.weight", "post_ffw_norm.weight"}));
  EXPECT_EQ(Found(map, "embd", "GET_ROWS", "token_embd.weight"), "-");
  EXPECT_EQ(Found(map, "inp_scaled", "SCALE"), "embed");
  EXPECT_EQ(Found(map, "attn_post_norm-0", "MUL", "blk.0.post_attention_norm.weight"),
            "layer.0.attn.post_norm");
  EXPECT_EQ(Found(map, "sa_out-0", "ADD"), "layer.0.attn.residual");
  EXPECT_EQ(Found(map, "ffn_geglu-0", "GEGLU"), "layer.0.mlp.act");
  EXPECT_EQ(Found(map, "ffn_post_norm-0", "MUL", "blk.0.post_ffw_norm.weight"),
            "layer.0.mlp.post_norm");
  EXPECT_EQ(map.checkpoints().size(), 3u + 17);
}

TEST(NodeMapTest, FusedProjectionIsItsViews) {
  std::vector<std::string> names = Tensors(1, {"attn_qkv.weight"});
  const NodeMap map("phi3", 1, names);
  EXPECT_EQ(Found(map, "Kcur-0", "VIEW"), "layer.0.attn.k");
  EXPECT_EQ(Found(map, "wqkv-0", "MUL_MAT", "blk.0.attn_qkv.weight"), "-");
}

TEST(NodeMapTest, LayersOutsideTheModelAreNone) {
  const NodeMap map("llama", 2, Tensors(2, {}));
  EXPECT_EQ(Found(map, "l_out-1", "ADD"), "layer.1.out");
  EXPECT_EQ(Found(map, "l_out-2", "ADD"), "-");
  EXPECT_EQ(Found(map, "l_out-", "ADD"), "-");
  EXPECT_EQ(Found(map, "l_out", "ADD"), "-");
}

}  // namespace
}  // namespace parity::llama
