// A hostile GGUF file: opened, described, read by every getter and taken for a model.
#include <glog/logging.h>

#include <nlohmann/json.hpp>
#include <numeric>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/fuzz/memory_bound.h"
#include "tests/testing/gguf_writer.h"
#include "worker/model/gguf_file.h"
#include "worker/model/inspect.h"
#include "worker/model/model_config.h"

namespace parity::fuzz {

namespace {

using model::GgufFile;
using testing::GgufWriter;

constexpr char kName[] = "f.gguf";

void CheckNamesTheFile(const absl::Status& status) {
  if (status.ok()) return;
  CheckErrorLine(status);
  CHECK(absl::StartsWith(status.message(), absl::StrCat(kName, ": "))) << status;
}

void ReadAllTensors(const GgufFile& file) {
  uint64_t sum = 0;
  for (const model::TensorInfo& tensor : file.tensors()) {
    CHECK_EQ(file.FindTensor(tensor.name), &tensor);
    CHECK_LE(static_cast<int64_t>(tensor.bytes.size()), file.size_bytes());
    sum = std::accumulate(tensor.bytes.begin(), tensor.bytes.end(), sum);
  }
  CHECK_LE(sum, 255u * static_cast<uint64_t>(file.size_bytes()));  // no byte is in two tensors
}

void ReadAllKeys(const GgufFile& file) {
  for (const auto& [key, text] : file.Describe()) {
    CHECK(file.Has(key));
    CheckNamesTheFile(file.GetInt(key).status());
    CheckNamesTheFile(file.GetFloat(key).status());
    CheckNamesTheFile(file.GetBool(key).status());
    CheckNamesTheFile(file.GetString(key).status());
    CheckNamesTheFile(file.GetStringArray(key).status());
    CheckNamesTheFile(file.GetIntArray(key).status());
    CheckNamesTheFile(file.GetFloatArray(key).status());
    CheckNamesTheFile(file.GetArraySize(key).status());
  }
}

void TakeForAModel(const GgufFile& file) {
  const auto config = model::ReadConfig(file);
  CheckNamesTheFile(config.status());
  if (!config.ok()) return;
  const auto tensors = model::FindTensors(file, *config);
  CheckNamesTheFile(tensors.status());
  if (!tensors.ok()) return;
  CHECK_EQ(static_cast<int32_t>(tensors->layers.size()), config->layers);
  CHECK_EQ(static_cast<int32_t>(model::VectorValues(*tensors->output_norm).size()), config->width);
}

void CheckInspect(const GgufFile& file) {
  for (const char c : model::InspectText(file)) {
    const uint8_t byte = static_cast<uint8_t>(c);
    CHECK(byte == '\n' || (byte >= 0x20 && byte != 0x7f)) << "byte " << int{byte};
  }
  CHECK(nlohmann::json::accept(model::InspectJson(file)));
}

// Keys of every type.
GgufWriter AllTypes() {
  GgufWriter w;
  w.AddU32("general.alignment", 64);
  w.set_alignment(64);
  w.AddU64("u64", ~uint64_t{0});
  w.AddI32("i32", -1);
  w.AddF32("f32", 0.5f);
  w.AddBool("bool", true);
  w.AddString("string", "text");
  w.AddStrings("strings", {"a", "", "b c"});
  w.AddI32s("i32s", {1, -2});
  w.AddF32s("f32s", {1.5f});
  w.AddRaw("i8s", 9, std::string("\1\0\0\0\3\0\0\0\0\0\0\0abc", 15));
  w.AddTensor("t", {32, 2}, 2, std::string(36, '\1'));  // Q4_0
  w.AddTensor("u", {4}, 99, std::string(16, '\2'));     // of an unknown type
  return w;
}

void AddFloats(GgufWriter& w, absl::string_view name, const std::vector<int64_t>& ne) {
  const int64_t values = std::accumulate(ne.begin(), ne.end(), int64_t{1}, std::multiplies<>());
  w.AddTensor(name, ne, 0, std::string(4 * values, '\0'));
}

// The smallest model of an architecture: one layer, width 4, two tokens.
GgufWriter Model(const std::string& architecture) {
  GgufWriter w;
  w.AddString("general.architecture", architecture);
  for (const auto& [suffix, value] :
       std::vector<std::pair<std::string, uint32_t>>{{"block_count", 1},
                                                     {"embedding_length", 4},
                                                     {"attention.head_count", 2},
                                                     {"attention.head_count_kv", 1},
                                                     {"feed_forward_length", 4},
                                                     {"context_length", 8},
                                                     {"vocab_size", 2}}) {
    w.AddU32(absl::StrCat(architecture, ".", suffix), value);
  }
  w.AddF32(architecture + ".attention.layer_norm_rms_epsilon", 1e-5f);
  w.AddF32(architecture + ".rope.freq_base", 10000.0f);
  AddFloats(w, "token_embd.weight", {4, 2});
  AddFloats(w, "output_norm.weight", {4});
  AddFloats(w, "blk.0.attn_norm.weight", {4});
  AddFloats(w, "blk.0.attn_q.weight", {4, 4});
  AddFloats(w, "blk.0.attn_k.weight", {4, 2});
  AddFloats(w, "blk.0.attn_v.weight", {4, 2});
  AddFloats(w, "blk.0.attn_output.weight", {4, 4});
  AddFloats(w, "blk.0.ffn_norm.weight", {4});
  AddFloats(w, "blk.0.ffn_gate.weight", {4, 4});
  AddFloats(w, "blk.0.ffn_up.weight", {4, 4});
  AddFloats(w, "blk.0.ffn_down.weight", {4, 4});
  return w;
}

}  // namespace

const int kReplayedMutations = 5000;

std::vector<std::string> Seeds() {
  std::vector<std::string> seeds = {GgufWriter().Serialize(), AllTypes().Serialize()};
  for (const char* architecture : {"llama", "qwen2", "qwen3", "gemma3"}) {
    seeds.push_back(Model(architecture).Serialize());
  }
  GgufWriter scaled = Model("llama");
  scaled.AddString("llama.rope.scaling.type", "linear");
  scaled.AddF32("llama.rope.scaling.factor", 4.0f);
  scaled.AddStrings("tokenizer.ggml.tokens", {"a", "b"});
  AddFloats(scaled, "output.weight", {4, 2});
  AddFloats(scaled, "rope_freqs.weight", {1});
  AddFloats(scaled, "blk.0.attn_q.bias", {4});
  seeds.push_back(scaled.Serialize());
  return seeds;
}

void RunOne(absl::string_view input) {
  const MemoryBound bound(input.size());
  const auto file = GgufFile::FromBytes(
      kName, absl::MakeConstSpan(reinterpret_cast<const uint8_t*>(input.data()), input.size()));
  CheckNamesTheFile(file.status());
  if (!file.ok()) return;
  ReadAllTensors(**file);
  ReadAllKeys(**file);
  TakeForAModel(**file);
  CheckInspect(**file);
}

}  // namespace parity::fuzz
