#include "worker/model/model_config.h"

#include <gtest/gtest.h>

#include <cmath>
#include <string>

#include "tests/testing/status_matchers.h"
#include "tests/testing/tiny_model.h"

namespace parity::model {
namespace {

using ::parity::testing::GgufWriter;
using ::parity::testing::StatusIs;
using ::parity::testing::TinyModel;
using ::parity::testing::TinyModelOptions;

// Keeps the bytes alive beside the file that reads them.
struct Loaded {
  explicit Loaded(const GgufWriter& writer) : bytes(writer.Serialize()) {
    auto result = GgufFile::FromBytes(
        "m.gguf",
        absl::MakeConstSpan(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()));
    if (result.ok()) file = *std::move(result);
  }
  std::string bytes;
  std::unique_ptr<GgufFile> file;
};

TEST(ModelConfigTest, ReadsATinyModel) {
  TinyModelOptions options;
  options.tied = false;
  options.rope_freqs = true;
  options.biases = true;
  options.head_size = 32;
  options.matrices = kernels::DType::kQ4_1;
  const Loaded loaded(TinyModel(options));
  ASSERT_NE(loaded.file, nullptr);
  ASSERT_OK_AND_ASSIGN(const ModelConfig config, ReadConfig(*loaded.file));
  EXPECT_EQ(config.architecture, "llama");
  EXPECT_EQ(config.layers, options.layers);
  EXPECT_EQ(config.width, options.width);
  EXPECT_EQ(config.heads, options.heads);
  EXPECT_EQ(config.kv_heads, options.kv_heads);
  EXPECT_EQ(config.head_size, 32);
  EXPECT_EQ(config.feed_forward, options.feed_forward);
  EXPECT_EQ(config.vocabulary, options.vocabulary);
  EXPECT_EQ(config.context_tokens, options.context_tokens);
  EXPECT_EQ(config.rms_epsilon, options.rms_epsilon);
  EXPECT_EQ(config.attention_scale, 1.0f / std::sqrt(32.0f));
  EXPECT_EQ(config.rope_dims, 32);
  ASSERT_EQ(config.ropes.size(), 1u);
  EXPECT_EQ(config.ropes[0].base, options.rope_base);
  ASSERT_EQ(config.layer_table.size(), 2u);
  EXPECT_EQ(config.layer_table[1].window, 0);
  EXPECT_EQ(config.embedding_scale, 1.0f);
  EXPECT_EQ(config.query_scale, 1.0f);
  EXPECT_EQ(config.ropes[0].freq_scale, 1.0f);
  EXPECT_EQ(config.rope_pairing, kernels::RopePairing::kAdjacent);
  EXPECT_FALSE(config.tied_embeddings);
  ASSERT_OK_AND_ASSIGN(const ModelTensors tensors, FindTensors(*loaded.file, config));
  ASSERT_EQ(tensors.layers.size(), 2u);
  EXPECT_EQ(tensors.layers[1].wk->name, "blk.1.attn_k.weight");
  EXPECT_EQ(tensors.layers[1].bo->name, "blk.1.attn_output.bias");
  EXPECT_EQ(tensors.output->name, "output.weight");
  ASSERT_NE(tensors.rope_freqs, nullptr);
  EXPECT_EQ(VectorValues(*tensors.rope_freqs).front(), 1.0f);
  EXPECT_EQ(VectorValues(*tensors.rope_freqs).size(), 16u);
}

TEST(ModelConfigTest, TiedEmbeddingsServeAsOutput) {
  const Loaded loaded(TinyModel({}));
  ASSERT_OK_AND_ASSIGN(const ModelConfig config, ReadConfig(*loaded.file));
  EXPECT_TRUE(config.tied_embeddings);
  EXPECT_EQ(config.head_size, 16);
  ASSERT_OK_AND_ASSIGN(const ModelTensors tensors, FindTensors(*loaded.file, config));
  EXPECT_EQ(tensors.output, tensors.token_embd);
  EXPECT_EQ(tensors.rope_freqs, nullptr);
  EXPECT_EQ(tensors.layers[0].bq, nullptr);
}

TEST(ModelConfigTest, LinearRopeScalingDividesPositions) {
  GgufWriter w = TinyModel({});
  w.AddString("llama.rope.scaling.type", "linear");
  w.AddF32("llama.rope.scaling.factor", 4.0f);
  const Loaded loaded(w);
  ASSERT_OK_AND_ASSIGN(const ModelConfig config, ReadConfig(*loaded.file));
  EXPECT_EQ(config.ropes[0].freq_scale, 0.25f);
}

ModelConfig ConfigOf(const GgufWriter& writer) {
  const Loaded loaded(writer);
  auto config = ReadConfig(*loaded.file);
  EXPECT_OK(config);
  return config.ok() ? *std::move(config) : ModelConfig();
}

TEST(ModelConfigTest, Qwen2HasHalfSplitRopeAndBiases) {
  const Loaded loaded(TinyModel({.architecture = "qwen2"}));
  ASSERT_OK_AND_ASSIGN(const ModelConfig config, ReadConfig(*loaded.file));
  EXPECT_EQ(config.rope_pairing, kernels::RopePairing::kHalfSplit);
  EXPECT_EQ(config.activation, kernels::Activation::kSilu);
  EXPECT_FALSE(config.head_norms);
  ASSERT_OK_AND_ASSIGN(const ModelTensors tensors, FindTensors(*loaded.file, config));
  ASSERT_NE(tensors.layers[0].bq, nullptr);
  EXPECT_EQ(tensors.layers[0].bq->name, "blk.0.attn_q.bias");
  EXPECT_EQ(tensors.layers[0].q_norm, nullptr);
}

TEST(ModelConfigTest, Qwen3HasHeadNormsAndItsOwnHeadSize) {
  const Loaded loaded(TinyModel({.architecture = "qwen3", .head_size = 48}));
  ASSERT_OK_AND_ASSIGN(const ModelConfig config, ReadConfig(*loaded.file));
  EXPECT_EQ(config.head_size, 48);
  EXPECT_TRUE(config.head_norms);
  EXPECT_FALSE(config.post_norms);
  ASSERT_OK_AND_ASSIGN(const ModelTensors tensors, FindTensors(*loaded.file, config));
  ASSERT_NE(tensors.layers[1].k_norm, nullptr);
  EXPECT_EQ(tensors.layers[1].k_norm->name, "blk.1.attn_k_norm.weight");
}

TEST(ModelConfigTest, Gemma3HasWindowsOnAllButEachSixthLayer) {
  const Loaded loaded(
      TinyModel({.architecture = "gemma3", .layers = 8, .rope_scaling = 8, .rope_base = 1e6f}));
  ASSERT_OK_AND_ASSIGN(const ModelConfig config, ReadConfig(*loaded.file));
  EXPECT_EQ(config.activation, kernels::Activation::kGeluTanh);
  EXPECT_EQ(config.embedding_scale, 8.0f);  // sqrt(64)
  EXPECT_EQ(config.query_scale, 0.25f);     // 1/sqrt(16)
  EXPECT_EQ(config.attention_scale, 1.0f);
  ASSERT_EQ(config.ropes.size(), 2u);
  EXPECT_EQ(config.ropes[0].base, 1e6f);
  EXPECT_EQ(config.ropes[0].freq_scale, 0.125f);
  EXPECT_EQ(config.ropes[1].base, 62500.0f);
  EXPECT_EQ(config.ropes[1].freq_scale, 1.0f);
  for (int i = 0; i < 8; ++i) {
    EXPECT_EQ(config.layer_table[i].window, i == 5 ? 0 : 10) << i;
    EXPECT_EQ(config.layer_table[i].rope, i == 5 ? 0 : 1) << i;
  }
  ASSERT_OK_AND_ASSIGN(const ModelTensors tensors, FindTensors(*loaded.file, config));
  ASSERT_NE(tensors.layers[7].ffn_post_norm, nullptr);
  EXPECT_EQ(tensors.layers[7].ffn_post_norm->name, "blk.7.post_ffw_norm.weight");
  EXPECT_EQ(tensors.layers[7].attn_post_norm->name, "blk.7.post_attention_norm.weight");
}

// A file without the key of the windows' base: llama.cpp's default (Gemma 3 270M is such a file).
TEST(ModelConfigTest, Gemma3WithoutWindowKeysHasNone) {
  GgufWriter w;
  w.AddString("general.architecture", "gemma3");
  w.AddU32("gemma3.block_count", 62);
  w.AddU32("gemma3.embedding_length", 84 * 4);
  w.AddU32("gemma3.attention.head_count", 4);
  w.AddU32("gemma3.attention.key_length", 16);
  w.AddU32("gemma3.feed_forward_length", 96);
  w.AddU32("gemma3.context_length", 256);
  w.AddU32("gemma3.vocab_size", 300);
  w.AddF32("gemma3.attention.layer_norm_rms_epsilon", 1e-6f);
  ModelConfig config = ConfigOf(w);
  EXPECT_EQ(config.ropes.size(), 1u);
  EXPECT_EQ(config.layer_table[0].window, 0);
  // 62 layers: Gemma 3 27B, whose scale is 1/sqrt(D/H).
  EXPECT_EQ(config.query_scale, 1.0f / std::sqrt(84.0f));
  w.AddU32("gemma3.attention.sliding_window", 1024);
  config = ConfigOf(w);
  ASSERT_EQ(config.ropes.size(), 2u);
  EXPECT_EQ(config.ropes[1].base, 10000.0f);
  EXPECT_EQ(config.layer_table[0].window, 1024);
}

TEST(ModelConfigTest, WindowPatternMayBeANumberOrAList) {
  ModelConfig config =
      ConfigOf(TinyModel({.architecture = "gemma3", .layers = 4, .window_pattern = 2}));
  for (int i = 0; i < 4; ++i) EXPECT_EQ(config.layer_table[i].window != 0, i % 2 == 0) << i;
  GgufWriter w = TinyModel({.architecture = "gemma3", .layers = 3});
  std::string list;
  testing::AppendU32(list, 7);  // bool
  testing::AppendU64(list, 3);
  list += std::string("\0\1\0", 3);
  w.AddRaw("gemma3.attention.sliding_window_pattern", 9, list);
  config = ConfigOf(w);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(config.layer_table[i].window != 0, i == 1) << i;
}

TEST(ModelConfigTest, LlamaMayHaveBiasesEverywhere) {
  const Loaded loaded(TinyModel({.biases = true, .mlp_biases = true}));
  ASSERT_OK_AND_ASSIGN(const ModelConfig config, ReadConfig(*loaded.file));
  ASSERT_OK_AND_ASSIGN(const ModelTensors tensors, FindTensors(*loaded.file, config));
  EXPECT_EQ(tensors.layers[1].gate_bias->name, "blk.1.ffn_gate.bias");
  EXPECT_EQ(tensors.layers[1].up_bias->name, "blk.1.ffn_up.bias");
  EXPECT_EQ(tensors.layers[1].down_bias->name, "blk.1.ffn_down.bias");
}

TEST(ModelConfigTest, DominantTypeIsTheOneWithMostBytes) {
  TinyModelOptions options;
  options.matrices = kernels::DType::kQ8_0;
  options.embedding = kernels::DType::kQ4_0;
  EXPECT_EQ(DominantWeightType(*Loaded(TinyModel(options)).file), "Q8_0");
  GgufWriter vocabulary;
  testing::AddTinyVocabulary(vocabulary, 300);
  EXPECT_EQ(DominantWeightType(*Loaded(vocabulary).file), "");
}

TEST(ModelConfigTest, VectorsOfHalvesAreWidened) {
  GgufWriter w;
  w.AddTensor("f16", {3}, 1, testing::EncodeValues(kernels::DType::kF16, {1.5f, -2.0f, 0.25f}));
  w.AddTensor("bf16", {3}, 30, testing::EncodeValues(kernels::DType::kBF16, {1.5f, -2.0f, 0.25f}));
  const Loaded loaded(w);
  const std::vector<float> expected = {1.5f, -2.0f, 0.25f};
  EXPECT_EQ(VectorValues(*loaded.file->FindTensor("f16")), expected);
  EXPECT_EQ(VectorValues(*loaded.file->FindTensor("bf16")), expected);
}

struct Refusal {
  const char* name;
  void (*change)(GgufWriter&);
  absl::StatusCode code;
  const char* message;
  const char* architecture = "llama";
};

constexpr auto kUnimplemented = absl::StatusCode::kUnimplemented;
constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;

class RefusalTest : public ::testing::TestWithParam<Refusal> {};

// A tiny model with one thing added to it that this build must refuse by name.
TEST_P(RefusalTest, NamesIt) {
  GgufWriter w = TinyModel({.architecture = GetParam().architecture});
  GetParam().change(w);
  const Loaded loaded(w);
  ASSERT_NE(loaded.file, nullptr);
  const auto config = ReadConfig(*loaded.file);
  const absl::Status status =
      config.ok() ? FindTensors(*loaded.file, *config).status() : config.status();
  EXPECT_THAT(status, StatusIs(GetParam().code, std::string("m.gguf: ") + GetParam().message));
}

INSTANTIATE_TEST_SUITE_P(
    All, RefusalTest,
    ::testing::Values(
        Refusal{"Experts", [](GgufWriter& w) { w.AddU32("llama.expert_count", 8); }, kUnimplemented,
                "mixture of experts (llama.expert_count 8) is not supported; supported: dense "
                "feed-forward"},
        Refusal{"Yarn", [](GgufWriter& w) { w.AddString("llama.rope.scaling.type", "yarn"); },
                kUnimplemented, "rope scaling 'yarn' is not supported; supported: none, linear"},
        Refusal{"SoftCap", [](GgufWriter& w) { w.AddF32("llama.final_logit_softcapping", 30); },
                kUnimplemented, "key 'llama.final_logit_softcapping' (30) is not supported"},
        Refusal{"AttentionSoftCap",
                [](GgufWriter& w) { w.AddF32("llama.attn_logit_softcapping", 50); }, kUnimplemented,
                "key 'llama.attn_logit_softcapping' (50) is not supported"},
        Refusal{"Window", [](GgufWriter& w) { w.AddU32("llama.attention.sliding_window", 512); },
                kUnimplemented, "key 'llama.attention.sliding_window' (512) is not supported"},
        Refusal{"WindowOfQwen",
                [](GgufWriter& w) { w.AddU32("qwen2.attention.sliding_window", 4096); },
                kUnimplemented, "key 'qwen2.attention.sliding_window' (4096) is not supported",
                "qwen2"},
        Refusal{"Longrope",
                [](GgufWriter& w) { w.AddString("qwen3.rope.scaling.type", "longrope"); },
                kUnimplemented, "rope scaling 'longrope' is not supported; supported: none, linear",
                "qwen3"},
        Refusal{"RopeMagnitude",
                [](GgufWriter& w) { w.AddF32("llama.rope.scaling.attn_factor", 1.25f); },
                kUnimplemented, "key 'llama.rope.scaling.attn_factor' (1.25) is not supported"},
        Refusal{
            "SoftCapOfGemma", [](GgufWriter& w) { w.AddF32("gemma3.final_logit_softcapping", 30); },
            kUnimplemented, "key 'gemma3.final_logit_softcapping' (30) is not supported", "gemma3"},
        Refusal{"ExpertsOfQwen", [](GgufWriter& w) { w.AddU32("qwen3.expert_count", 128); },
                kUnimplemented,
                "mixture of experts (qwen3.expert_count 128) is not supported; supported: dense "
                "feed-forward",
                "qwen3"},
        Refusal{"LogitScale", [](GgufWriter& w) { w.AddF32("llama.logit_scale", 0.25f); },
                kUnimplemented, "key 'llama.logit_scale' (0.25) is not supported"},
        Refusal{"ResidualScale", [](GgufWriter& w) { w.AddF32("llama.residual_scale", 0.5f); },
                kUnimplemented, "key 'llama.residual_scale' (0.5) is not supported"},
        Refusal{"EmbeddingScale", [](GgufWriter& w) { w.AddF32("llama.embedding_scale", 12); },
                kUnimplemented, "key 'llama.embedding_scale' (12) is not supported"},
        Refusal{"AttentionScale", [](GgufWriter& w) { w.AddF32("llama.attention.scale", 0.5f); },
                kUnimplemented, "key 'llama.attention.scale' (0.5) is not supported"},
        Refusal{"ClampedProjections",
                [](GgufWriter& w) { w.AddF32("llama.attention.clamp_kqv", 8); }, kUnimplemented,
                "key 'llama.attention.clamp_kqv' (8) is not supported"},
        Refusal{"Alibi", [](GgufWriter& w) { w.AddF32("llama.attention.max_alibi_bias", 8); },
                kUnimplemented, "key 'llama.attention.max_alibi_bias' (8) is not supported"},
        Refusal{"NextTokenLayers", [](GgufWriter& w) { w.AddU32("qwen3.nextn_predict_layers", 1); },
                kUnimplemented, "key 'qwen3.nextn_predict_layers' (1) is not supported", "qwen3"},
        Refusal{"SharedKv",
                [](GgufWriter& w) { w.AddU32("gemma3.attention.shared_kv_layers", 10); },
                kUnimplemented, "key 'gemma3.attention.shared_kv_layers' (10) is not supported",
                "gemma3"},
        // Found by the fuzzer: 1/factor was 2.9e20.
        Refusal{"RopeFactorThatOverflows",
                [](GgufWriter& w) { w.AddF32("llama.rope.scaling.factor", 2.5e-7f); }, kInvalid,
                "key 'llama.rope.scaling.factor' is 2.5e-07, 0 or 1e-06 to 1e+06 expected"},
        Refusal{"PatternOfAnotherLength",
                [](GgufWriter& w) {
                  w.AddI32s("gemma3.attention.sliding_window_pattern", {1, 0, 1});
                },
                kInvalid, "key 'gemma3.attention.sliding_window_pattern' has 3 entries, 2 expected",
                "gemma3"},
        Refusal{"FusedProjections",
                [](GgufWriter& w) {
                  w.AddTensor("blk.0.attn_qkv.weight", {64, 128}, 0, std::string(32768, '\0'));
                },
                kUnimplemented,
                "fused projection 'blk.0.attn_qkv.weight' is not supported; supported: attn_q, "
                "attn_k and attn_v apart"},
        Refusal{
            "OutputBias",
            [](GgufWriter& w) { w.AddTensor("output.bias", {384}, 0, std::string(4 * 384, '\0')); },
            kUnimplemented,
            "tensor 'output.bias' is not part of the 'qwen2' model this build computes", "qwen2"},
        Refusal{"MlpBiasOfQwen",
                [](GgufWriter& w) {
                  w.AddTensor("blk.0.ffn_up.bias", {96}, 0, std::string(4 * 96, '\0'));
                },
                kUnimplemented,
                "tensor 'blk.0.ffn_up.bias' is not part of the 'qwen2' model this build computes",
                "qwen2"},
        Refusal{
            "RopeFactorsOfGemma",
            [](GgufWriter& w) { w.AddTensor("rope_freqs.weight", {8}, 0, std::string(32, '\0')); },
            kUnimplemented,
            "tensor 'rope_freqs.weight' is not part of the 'gemma3' model this build computes",
            "gemma3"},
        Refusal{"NonCausal", [](GgufWriter& w) { w.AddBool("llama.attention.causal", false); },
                kUnimplemented, "non-causal attention (llama.attention.causal) is not supported"},
        Refusal{"ValueLength", [](GgufWriter& w) { w.AddU32("llama.attention.value_length", 8); },
                kUnimplemented,
                "key 'llama.attention.value_length' (8) other than the head size 16 is not "
                "supported"},
        Refusal{"PartialRope", [](GgufWriter& w) { w.AddU32("llama.rope.dimension_count", 8); },
                kUnimplemented,
                "key 'llama.rope.dimension_count' (8) other than the head size 16 is not "
                "supported"},
        Refusal{"HeadSizeHuge",
                [](GgufWriter& w) { w.AddU32("llama.attention.key_length", 1u << 30); }, kInvalid,
                "key 'llama.attention.key_length' is 1073741824, 1 to 2048 expected"},
        Refusal{"ExtraTensor",
                [](GgufWriter& w) {
                  w.AddTensor("blk.0.attn_q_norm.weight", {16}, 0, std::string(64, '\0'));
                },
                kUnimplemented,
                "tensor 'blk.0.attn_q_norm.weight' is not part of the 'llama' model this build "
                "computes"},
        Refusal{
            "RopeFreqsOfAnotherSize",
            [](GgufWriter& w) { w.AddTensor("rope_freqs.weight", {4}, 0, std::string(16, '\0')); },
            kInvalid, "tensor 'rope_freqs.weight' is [4, 1, 1, 1], [8, 1, 1, 1] expected"},
        Refusal{
            "TypeWithoutProduct",
            [](GgufWriter& w) {
              w.AddTensor("output.weight", {64, 384}, 99, std::string(64, '\0'));
            },
            kUnimplemented,
            "tensor 'output.weight' is of type 99, which is not supported; supported: F32, "
            "F16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q2_K, Q3_K, Q4_K, Q5_K, Q6_K, IQ4_NL, BF16, MXFP4"},
        Refusal{
            "VectorOfIntegers",
            [](GgufWriter& w) { w.AddTensor("rope_freqs.weight", {8}, 26, std::string(32, '\0')); },
            kUnimplemented,
            "tensor 'rope_freqs.weight' is of type 26, F32, F16 or BF16 expected for a "
            "vector"}),
    [](const auto& info) { return info.param.name; });

// Keys that TinyModel writes itself cannot be added twice: these files have the keys alone.
GgufWriter Hyper(uint32_t layers, uint32_t width, uint32_t heads, uint32_t kv_heads, float eps) {
  GgufWriter w;
  w.AddString("general.architecture", "llama");
  w.AddU32("llama.block_count", layers);
  w.AddU32("llama.embedding_length", width);
  w.AddU32("llama.attention.head_count", heads);
  w.AddU32("llama.attention.head_count_kv", kv_heads);
  w.AddU32("llama.feed_forward_length", 96);
  w.AddU32("llama.context_length", 256);
  w.AddU32("llama.vocab_size", 300);
  w.AddF32("llama.attention.layer_norm_rms_epsilon", eps);
  return w;
}

std::string ConfigError(const GgufWriter& writer) {
  return std::string(ReadConfig(*Loaded(writer).file).status().message());
}

TEST(ModelConfigTest, HyperParametersOutOfBoundsAreNamed) {
  EXPECT_EQ(ConfigError(Hyper(1, 64, 4, 2, 1e-5f)), "");
  EXPECT_EQ(ConfigError(Hyper(0, 64, 4, 2, 1e-5f)),
            "m.gguf: key 'llama.block_count' is 0, 1 to 1024 expected");
  EXPECT_EQ(ConfigError(Hyper(1025, 64, 4, 2, 1e-5f)),
            "m.gguf: key 'llama.block_count' is 1025, 1 to 1024 expected");
  EXPECT_EQ(ConfigError(Hyper(1, 0xffffffffu, 4, 2, 1e-5f)),
            "m.gguf: key 'llama.embedding_length' is 4294967295, 1 to 262144 expected");
  EXPECT_EQ(ConfigError(Hyper(1, 64, 0, 2, 1e-5f)),
            "m.gguf: key 'llama.attention.head_count' is 0, 1 to 4096 expected");
  EXPECT_EQ(ConfigError(Hyper(1, 64, 4, 5, 1e-5f)),
            "m.gguf: key 'llama.attention.head_count_kv' is 5, 1 to 4 expected");
  EXPECT_EQ(
      ConfigError(Hyper(1, 64, 4, 3, 1e-5f)),
      "m.gguf: key 'llama.attention.head_count' is 4, a multiple of head_count_kv 3 expected");
  EXPECT_EQ(ConfigError(Hyper(1, 60, 4, 2, 1e-5f)),
            "m.gguf: head size 15, an even number expected");
  EXPECT_EQ(ConfigError(Hyper(1, 64, 4, 2, std::nanf(""))),
            "m.gguf: key 'llama.attention.layer_norm_rms_epsilon' is nan, 0 to 1 expected");
}

TEST(ModelConfigTest, MissingKeysAndOtherArchitecturesAreNamed) {
  EXPECT_EQ(ConfigError(GgufWriter()), "m.gguf: key 'general.architecture' is missing");
  GgufWriter mamba;
  mamba.AddString("general.architecture", "mamba");
  EXPECT_THAT(ReadConfig(*Loaded(mamba).file),
              StatusIs(kUnimplemented,
                       "m.gguf: architecture 'mamba' is not supported; supported: llama, "
                       "qwen2, qwen3, gemma3"));
  GgufWriter bare;
  bare.AddString("general.architecture", "llama");
  EXPECT_EQ(ConfigError(bare),
            "m.gguf: key 'llama.block_count' is missing, expected for architecture 'llama'");
}

TEST(ModelConfigTest, FamiliesDemandTheirTensors) {
  GgufWriter w = TinyModel({.architecture = "qwen2"});
  std::string bytes = w.Serialize();
  // The same file read as qwen3: the norms it must have are missing.
  for (size_t at = 0; (at = bytes.find("qwen2", at)) != std::string::npos;) bytes[at + 4] = '3';
  const auto file = GgufFile::FromBytes(
      "m.gguf", absl::MakeConstSpan(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()));
  ASSERT_OK(file);
  ASSERT_OK_AND_ASSIGN(const ModelConfig config, ReadConfig(**file));
  EXPECT_THAT(
      FindTensors(**file, config),
      StatusIs(kInvalid, "m.gguf: tensor 'blk.0.attn_q_norm.weight' is missing, [16] expected"));
}

TEST(ModelConfigTest, MissingTensorIsNamed) {
  const Loaded loaded(Hyper(1, 64, 4, 2, 1e-5f));
  ASSERT_OK_AND_ASSIGN(const ModelConfig config, ReadConfig(*loaded.file));
  EXPECT_THAT(
      FindTensors(*loaded.file, config),
      StatusIs(kInvalid, "m.gguf: tensor 'token_embd.weight' is missing, [64, 300] expected"));
}

}  // namespace
}  // namespace parity::model
