#include "collector/importer/alias_table.h"

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "proto/checkpoint/name.h"

namespace parity::importer {
namespace {

constexpr size_t kMaxResolved = 100000;  // names remembered; a log of more distinct ones is hostile

constexpr std::pair<const char*, const char*> kBuiltIn[] = {
    // llama.cpp graph nodes
    {"embd", "embed"},
    {"inp_embd", "embed"},
    {"inp_scaled", "embed"},
    {"attn_norm-{i}", "layer.{i}.attn.norm"},
    {"Qcur-{i}", "layer.{i}.attn.q_rope"},
    {"Kcur-{i}", "layer.{i}.attn.k_rope"},
    {"Vcur-{i}", "layer.{i}.attn.v"},
    {"Qcur_normed-{i}", "layer.{i}.attn.q_norm"},
    {"Kcur_normed-{i}", "layer.{i}.attn.k_norm"},
    {"kqv_out-{i}", "layer.{i}.attn.context"},
    {"attn_out-{i}", "layer.{i}.attn.out"},
    {"attn_post_norm-{i}", "layer.{i}.attn.post_norm"},
    {"ffn_inp-{i}", "layer.{i}.attn.residual"},
    {"sa_out-{i}", "layer.{i}.attn.residual"},
    {"ffn_norm-{i}", "layer.{i}.mlp.norm"},
    {"ffn_gate-{i}", "layer.{i}.mlp.gate"},
    {"ffn_up-{i}", "layer.{i}.mlp.up"},
    {"ffn_swiglu-{i}", "layer.{i}.mlp.act"},
    {"ffn_geglu-{i}", "layer.{i}.mlp.act"},
    {"ffn_gate_par-{i}", "layer.{i}.mlp.act"},
    {"ffn_out-{i}", "layer.{i}.mlp.down"},
    {"ffn_post_norm-{i}", "layer.{i}.mlp.post_norm"},
    {"l_out-{i}", "layer.{i}.out"},
    {"result_norm", "final.norm"},
    {"result_output", "logits"},
    // Outputs of the modules whose weights GGUF calls so
    {"token_embd", "embed"},
    {"blk.{i}.attn_norm", "layer.{i}.attn.norm"},
    {"blk.{i}.attn_q", "layer.{i}.attn.q"},
    {"blk.{i}.attn_k", "layer.{i}.attn.k"},
    {"blk.{i}.attn_v", "layer.{i}.attn.v"},
    {"blk.{i}.attn_q_norm", "layer.{i}.attn.q_norm"},
    {"blk.{i}.attn_k_norm", "layer.{i}.attn.k_norm"},
    {"blk.{i}.attn_output", "layer.{i}.attn.out"},
    {"blk.{i}.ffn_norm", "layer.{i}.mlp.norm"},
    {"blk.{i}.ffn_gate", "layer.{i}.mlp.gate"},
    {"blk.{i}.ffn_up", "layer.{i}.mlp.up"},
    {"blk.{i}.ffn_down", "layer.{i}.mlp.down"},
    {"blk.{i}", "layer.{i}.out"},
    {"output_norm", "final.norm"},
    {"output", "logits"},
    // Outputs of Hugging Face modules, llama layout
    {"model.embed_tokens", "embed"},
    {"model.layers.{i}.input_layernorm", "layer.{i}.attn.norm"},
    {"model.layers.{i}.self_attn.q_proj", "layer.{i}.attn.q"},
    {"model.layers.{i}.self_attn.k_proj", "layer.{i}.attn.k"},
    {"model.layers.{i}.self_attn.v_proj", "layer.{i}.attn.v"},
    {"model.layers.{i}.self_attn.q_norm", "layer.{i}.attn.q_norm"},
    {"model.layers.{i}.self_attn.k_norm", "layer.{i}.attn.k_norm"},
    {"model.layers.{i}.self_attn.o_proj", "layer.{i}.attn.out"},
    {"model.layers.{i}.self_attn", "layer.{i}.attn.out"},
    {"model.layers.{i}.post_attention_layernorm", "layer.{i}.mlp.norm"},
    {"model.layers.{i}.mlp.gate_proj", "layer.{i}.mlp.gate"},
    {"model.layers.{i}.mlp.up_proj", "layer.{i}.mlp.up"},
    {"model.layers.{i}.mlp.down_proj", "layer.{i}.mlp.down"},
    {"model.layers.{i}.mlp", "layer.{i}.mlp.down"},
    {"model.layers.{i}", "layer.{i}.out"},
    {"model.norm", "final.norm"},
    {"lm_head", "logits"},
};

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

int Count(absl::string_view text) {
  int count = 0;
  for (size_t at = text.find("{i}"); at != absl::string_view::npos; at = text.find("{i}", at + 3)) {
    ++count;
  }
  return count;
}

// The entry for `name`: itself, or with one of its numbers replaced by "{i}".
std::string Lookup(const absl::flat_hash_map<std::string, std::string>& table,
                   absl::string_view name) {
  if (const auto found = table.find(name); found != table.end()) return found->second;
  for (size_t begin = 0; begin < name.size(); ++begin) {
    if (!IsDigit(name[begin])) continue;
    size_t end = begin;
    while (end < name.size() && IsDigit(name[end])) ++end;
    const auto found = table.find(absl::StrCat(name.substr(0, begin), "{i}", name.substr(end)));
    if (found != table.end()) {
      return absl::StrReplaceAll(found->second, {{"{i}", name.substr(begin, end - begin)}});
    }
    begin = end;
  }
  return "";
}

}  // namespace

absl::StatusOr<AliasTable> AliasTable::Create(const std::map<std::string, std::string>& aliases) {
  AliasTable table;
  for (const auto& [pattern, name] : kBuiltIn) table.built_in_.emplace(pattern, name);
  for (const auto& [pattern, name] : aliases) {
    const std::string sample = absl::StrReplaceAll(name, {{"{i}", "0"}});
    if (pattern.empty() || Count(pattern) > 1 || Count(pattern) != Count(name) ||
        !checkpoint::IsStorable(sample)) {
      return absl::InvalidArgumentError(
          absl::StrCat("alias \"", pattern, "\" to \"", name,
                       "\": expected at most one {i}, the same in both, and a checkpoint name"));
    }
    table.own_.emplace(pattern, name);
  }
  return table;
}

std::string AliasTable::Find(const std::string& name) const {
  if (std::string own = Lookup(own_, name); !own.empty()) return own;
  if (checkpoint::Parse(name).has_value()) return name;
  if (std::string built_in = Lookup(built_in_, name); !built_in.empty()) return built_in;
  return name;
}

const std::string& AliasTable::Resolve(const std::string& name) {
  const auto found = resolved_.find(name);
  if (found != resolved_.end()) return found->second;
  if (resolved_.size() >= kMaxResolved) resolved_.clear();
  return resolved_.emplace(name, Find(name)).first->second;
}

}  // namespace parity::importer
