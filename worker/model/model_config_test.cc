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
  EXPECT_EQ(config.rope_base, options.rope_base);
  EXPECT_EQ(config.rope_freq_scale, 1.0f);
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
  EXPECT_EQ(config.rope_freq_scale, 0.25f);
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
};

constexpr auto kUnimplemented = absl::StatusCode::kUnimplemented;
constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;

class RefusalTest : public ::testing::TestWithParam<Refusal> {};

// A tiny model with one thing added to it that this build must refuse by name.
TEST_P(RefusalTest, NamesIt) {
  GgufWriter w = TinyModel({});
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
        Refusal{"TypeWithoutProduct",
                [](GgufWriter& w) {
                  w.AddTensor("output.weight", {64, 384}, 99, std::string(64, '\0'));
                },
                kUnimplemented,
                "tensor 'output.weight' is of type 99, which is not supported; supported: F32, "
                "F16, Q4_0, Q4_1, Q8_0, BF16"},
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
  EXPECT_THAT(
      ReadConfig(*Loaded(mamba).file),
      StatusIs(kUnimplemented, "m.gguf: architecture 'mamba' is not supported; supported: llama"));
  GgufWriter bare;
  bare.AddString("general.architecture", "llama");
  EXPECT_EQ(ConfigError(bare),
            "m.gguf: key 'llama.block_count' is missing, expected for architecture 'llama'");
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
