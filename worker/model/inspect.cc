#include "worker/model/inspect.h"

#include <algorithm>
#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "kernels/dtype.h"
#include "worker/model/gguf_parser.h"
#include "worker/model/model_config.h"

namespace parity::model {

namespace {

struct TypeRow {
  std::string name;
  int64_t tensors = 0;
  int64_t bytes = 0;
  bool known = false;
  bool computable = false;
};

struct Account {
  absl::StatusOr<ModelConfig> config;
  absl::Status supported;
  std::vector<TypeRow> types;  // most bytes first
};

std::string TypeName(uint32_t ggml_type) {
  const kernels::DTypeTraits* traits = kernels::FindDType(ggml_type);
  return traits != nullptr ? traits->name : absl::StrCat("type ", ggml_type);
}

std::vector<TypeRow> TypeTable(const GgufFile& file) {
  std::map<uint32_t, TypeRow> rows;
  for (const TensorInfo& tensor : file.tensors()) {
    TypeRow& row = rows[tensor.ggml_type];
    const kernels::DTypeTraits* traits = kernels::FindDType(tensor.ggml_type);
    row.name = TypeName(tensor.ggml_type);
    row.known = traits != nullptr;
    row.computable = traits != nullptr && traits->computable;
    ++row.tensors;
    row.bytes += static_cast<int64_t>(tensor.bytes.size());
  }
  std::vector<TypeRow> table;
  for (auto& [type, row] : rows) table.push_back(std::move(row));
  std::stable_sort(table.begin(), table.end(),
                   [](const TypeRow& a, const TypeRow& b) { return a.bytes > b.bytes; });
  return table;
}

Account Examine(const GgufFile& file) {
  Account account{ReadConfig(file), absl::OkStatus(), TypeTable(file)};
  if (!account.config.ok()) {
    account.supported = account.config.status();
  } else if (file.tensors().empty()) {
    account.supported = absl::FailedPreconditionError(
        absl::StrCat(file.name(), ": no tensors: a vocabulary-only file"));
  } else {
    account.supported = FindTensors(file, *account.config).status();
  }
  return account;
}

// One list for both outputs.
// Numbers of their own kind: a base or an epsilon is a file's float, whatever its size.
std::vector<std::pair<std::string, nlohmann::ordered_json>> ConfigRows(const ModelConfig& c) {
  std::vector<std::pair<std::string, nlohmann::ordered_json>> rows = {
      {"layers", c.layers},
      {"width", c.width},
      {"heads", c.heads},
      {"kv_heads", c.kv_heads},
      {"head_size", c.head_size},
      {"feed_forward", c.feed_forward},
      {"vocabulary", c.vocabulary},
      {"context_tokens", c.context_tokens},
      {"rms_epsilon", c.rms_epsilon},
      {"rope_dims", c.rope_dims},
      {"rope_base", c.ropes[0].base},
      {"rope_freq_scale", c.ropes[0].freq_scale},
      {"tied_embeddings", c.tied_embeddings ? 1 : 0}};
  int32_t window = 0, windowed = 0;
  for (const LayerConfig& layer : c.layer_table) {
    window = std::max(window, layer.window);
    windowed += layer.window != 0 ? 1 : 0;
  }
  if (windowed != 0) {
    rows.insert(
        rows.end(),
        {{"window", window}, {"window_layers", windowed}, {"window_rope_base", c.ropes[1].base}});
  }
  return rows;
}

absl::Span<const int64_t> Shape(const TensorInfo& tensor) {
  return absl::MakeConstSpan(tensor.ne, static_cast<size_t>(tensor.n_dims));
}

std::string Mebibytes(int64_t bytes) {
  return absl::StrFormat("%.1f MiB", static_cast<double>(bytes) / (1 << 20));
}

// The architecture as the file says it, supported or not.
std::string Architecture(const GgufFile& file) {
  const auto architecture = file.GetString("general.architecture");
  return architecture.ok() ? architecture->value_or("") : "";
}

void AppendTypes(const std::vector<TypeRow>& types, std::string& out) {
  absl::StrAppend(&out, "\ntypes\n");
  absl::StrAppendFormat(&out, "  %-10s %8s %16s  %s\n", "type", "tensors", "bytes", "");
  for (const TypeRow& row : types) {
    absl::StrAppendFormat(&out, "  %-10s %8d %16s  %s\n", row.name, row.tensors,
                          row.known ? absl::StrCat(row.bytes) : "?",
                          row.computable ? "" : "not supported");
  }
}

void AppendTensors(const GgufFile& file, std::string& out) {
  size_t widest = 4;
  for (const TensorInfo& tensor : file.tensors()) {
    widest = std::max(widest, absl::CHexEscape(tensor.name).size());
  }
  absl::StrAppend(&out, "\ntensors (", file.tensors().size(), ")\n");
  for (const TensorInfo& tensor : file.tensors()) {
    absl::StrAppendFormat(&out, "  %-*s %-8s [%s]\n", static_cast<int>(widest),
                          absl::CHexEscape(tensor.name), TypeName(tensor.ggml_type),
                          absl::StrJoin(Shape(tensor), ", "));
  }
}

void AppendMetadata(const GgufFile& file, std::string& out) {
  const auto lines = file.Describe();
  size_t widest = 3;
  for (const auto& [key, value] : lines) {
    widest = std::min<size_t>(48, std::max(widest, absl::CHexEscape(key).size()));
  }
  absl::StrAppend(&out, "\nmetadata (", lines.size(), ")\n");
  for (const auto& [key, value] : lines) {
    absl::StrAppendFormat(&out, "  %-*s %s\n", static_cast<int>(widest), absl::CHexEscape(key),
                          value);
  }
}

}  // namespace

int64_t BytesPerToken(const GgufFile& file) {
  int64_t total = 0;
  const TensorInfo* table = nullptr;
  bool output = false;
  for (const TensorInfo& tensor : file.tensors()) {
    if (tensor.name == "token_embd.weight") table = &tensor;
    output = output || tensor.name == "output.weight";
    total += static_cast<int64_t>(tensor.bytes.size());
  }
  if (table == nullptr || table->ne[1] <= 0) return total;
  const auto bytes = static_cast<int64_t>(table->bytes.size());
  return total + bytes / table->ne[1] - (output ? bytes : 0);
}

std::string InspectText(const GgufFile& file) {
  const Account account = Examine(file);
  std::string out;
  const auto row = [&](absl::string_view name, absl::string_view value) {
    absl::StrAppendFormat(&out, "%-16s %s\n", name, value);
  };
  row("file", absl::CHexEscape(file.name()));
  row("size", absl::StrCat(file.size_bytes(), " bytes (", Mebibytes(file.size_bytes()), ")"));
  row("sha256", file.sha256());
  row("architecture", absl::CHexEscape(Architecture(file)));
  if (const std::string type = DominantWeightType(file); !type.empty()) row("weight type", type);
  if (!file.tensors().empty()) {
    const int64_t bytes = BytesPerToken(file);
    row("bytes per token", absl::StrCat(bytes, " (", Mebibytes(bytes), " of weights)"));
  }
  row("supported", account.supported.ok()
                       ? "yes"
                       : absl::StrCat("no: ", std::string(account.supported.message())));
  if (account.config.ok()) {
    absl::StrAppend(&out, "\nhyper-parameters\n");
    for (const auto& [name, value] : ConfigRows(*account.config)) {
      absl::StrAppendFormat(&out, "  %-16s %.9g\n", name, value.get<double>());
    }
  }
  if (!account.types.empty()) AppendTypes(account.types, out);
  if (!file.tensors().empty()) AppendTensors(file, out);
  AppendMetadata(file, out);
  return out;
}

std::string InspectJson(const GgufFile& file) {
  const Account account = Examine(file);
  nlohmann::ordered_json json;
  json["file"] = absl::CHexEscape(file.name());
  json["size_bytes"] = file.size_bytes();
  json["sha256"] = file.sha256();
  json["supported"] = account.supported.ok();
  json["unsupported_reason"] = std::string(account.supported.message());
  json["architecture"] = absl::CHexEscape(Architecture(file));
  json["weight_type"] = DominantWeightType(file);
  json["bytes_per_token"] = BytesPerToken(file);
  nlohmann::ordered_json config = nlohmann::ordered_json::object();
  if (account.config.ok()) {
    for (auto& [name, value] : ConfigRows(*account.config)) config[name] = std::move(value);
  }
  json["config"] = std::move(config);
  json["types"] = nlohmann::ordered_json::array();
  for (const TypeRow& row : account.types) {
    json["types"].push_back({{"type", row.name},
                             {"tensors", row.tensors},
                             {"bytes", row.bytes},
                             {"supported", row.computable}});
  }
  json["tensors"] = nlohmann::ordered_json::array();
  for (const TensorInfo& tensor : file.tensors()) {
    json["tensors"].push_back(
        {{"name", absl::CHexEscape(tensor.name)},
         {"type", TypeName(tensor.ggml_type)},
         {"shape", std::vector<int64_t>(Shape(tensor).begin(), Shape(tensor).end())},
         {"offset", tensor.offset},
         {"bytes", tensor.bytes.size()}});
  }
  json["metadata"] = nlohmann::ordered_json::object();
  for (const auto& [key, value] : file.Describe()) json["metadata"][absl::CHexEscape(key)] = value;
  return json.dump(2) + "\n";
}

}  // namespace parity::model
