// One test at least for each published class of attack on model files and their servers, with the
// exact line it ends in. Most stand beside the code, named Row<N> after the class:
//    1 counts, 2 dimensions, 3 sizes' product, 4 strings, 5 arrays, 7 tensor bytes, 10 alignment,
//      11 offsets, 16 duplicates: worker/model/gguf_file_test.cc
//   13 hyper-parameters: worker/model/model_config_test.cc
//   15 ids and byte tokens: worker/tokenizer/{tokenizer,vocabulary}_test.cc
//   18 integers of a request: worker/request/validation_test.cc
// and these, which need several rooms:
//    6 an array of one type read as another, by each of its readers
//    8, 9 sums of sizes, up to the last one that memory is asked for
//   12 sizes that fit an int once they are cut off
//   14, 17 error paths: every key of a model broken in turn, under AddressSanitizer
//   16 duplicates found without comparing all with all
//   19 no procedure beyond the published ones, and nobody else's machine listened to by default
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "kernels/cpu/cpu_backend.h"
#include "parity/v1/collector.pb.h"
#include "parity/v1/worker.pb.h"
#include "proto/serve/address.h"
#include "tests/testing/gguf_writer.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/tiny_model.h"
#include "worker/model/gguf_file.h"
#include "worker/model/model_config.h"
#include "worker/tokenizer/tokenizer.h"

namespace parity {
namespace {

using ::parity::testing::GgufWriter;
using ::parity::testing::StatusIs;
using ::testing::ElementsAre;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;

// Keeps the bytes beside the file that reads them.
struct Loaded {
  explicit Loaded(std::string content)
      : bytes(std::move(content)),
        file(model::GgufFile::FromBytes(
            "m.gguf",
            absl::MakeConstSpan(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()))) {}
  explicit Loaded(const GgufWriter& writer) : Loaded(writer.Serialize()) {}
  std::string bytes;
  absl::StatusOr<std::unique_ptr<model::GgufFile>> file;
};

absl::Status TokenizerError(const GgufWriter& writer) {
  const Loaded loaded(writer);
  if (!loaded.file.ok()) return loaded.file.status();
  return tokenizer::Tokenizer::Create(**loaded.file).status();
}

GgufWriter Vocabulary(const std::string& model) {
  GgufWriter w;
  w.AddString("tokenizer.ggml.model", model);
  w.AddStrings("tokenizer.ggml.tokens", {"<unk>", "a", "b"});
  return w;
}

// i8[3]: a reader that took it for f32 or i32 would read four times its bytes.
std::string ThreeBytes() { return std::string("\1\0\0\0\3\0\0\0\0\0\0\0\1\2\3", 15); }
constexpr uint32_t kArray = 9;

TEST(HostileClassesTest, Row6EveryReaderOfAnArrayChecksItsType) {
  GgufWriter scores = Vocabulary("llama");
  scores.AddRaw("tokenizer.ggml.scores", kArray, ThreeBytes());
  EXPECT_THAT(TokenizerError(scores),
              StatusIs(kInvalid,
                       "m.gguf: key 'tokenizer.ggml.scores' is an array of i8, an array "
                       "of f32 or i32 expected"));
  GgufWriter types = Vocabulary("llama");
  types.AddF32s("tokenizer.ggml.token_type", {1, 1, 1});
  EXPECT_THAT(TokenizerError(types),
              StatusIs(kInvalid,
                       "m.gguf: key 'tokenizer.ggml.token_type' is an array of f32, an "
                       "array of integers below 2^63 expected"));
  GgufWriter merges = Vocabulary("gpt2");
  merges.AddRaw("tokenizer.ggml.merges", kArray, ThreeBytes());
  EXPECT_THAT(TokenizerError(merges),
              StatusIs(kInvalid,
                       "m.gguf: key 'tokenizer.ggml.merges' is an array of i8, an array "
                       "of string expected"));
  GgufWriter tokens;
  tokens.AddString("tokenizer.ggml.model", "llama");
  tokens.AddI32s("tokenizer.ggml.tokens", {1, 2});
  EXPECT_THAT(TokenizerError(tokens),
              StatusIs(kInvalid,
                       "m.gguf: key 'tokenizer.ggml.tokens' is an array of i32, an array "
                       "of string expected"));
  GgufWriter bos = Vocabulary("llama");
  bos.AddString("tokenizer.ggml.bos_token_id", "1");
  EXPECT_THAT(TokenizerError(bos),
              StatusIs(kInvalid,
                       "m.gguf: key 'tokenizer.ggml.bos_token_id' is string, an integer expected"));
  GgufWriter model;
  model.AddString("tokenizer.ggml.pre", "smollm");
  model.AddI32s("tokenizer.ggml.model", {1});
  EXPECT_THAT(
      TokenizerError(model),
      StatusIs(kInvalid, "m.gguf: key 'tokenizer.ggml.model' is an array of i32, string expected"));
  GgufWriter layers;
  layers.AddString("general.architecture", "llama");
  layers.AddRaw("llama.block_count", kArray, ThreeBytes());
  EXPECT_THAT(
      model::ReadConfig(**Loaded(layers).file),
      StatusIs(kInvalid, "m.gguf: key 'llama.block_count' is an array of i8, an integer expected"));
}

// Each tensor fits the file alone; the offsets would have to wrap for both to.
TEST(HostileClassesTest, Row8SizesAreAddedWithoutWrapping) {
  std::string s = "GGUF";
  testing::AppendU32(s, 3);
  testing::AppendU64(s, 2);
  testing::AppendU64(s, 0);
  for (const auto& [name, offset] :
       std::vector<std::pair<std::string, uint64_t>>{{"a", 0}, {"b", 96}}) {
    testing::AppendString(s, name);
    testing::AppendU32(s, 1);
    testing::AppendU64(s, 24);
    testing::AppendU32(s, 0);
    testing::AppendU64(s, offset);
  }
  s.resize(96 + 96 + 32);
  EXPECT_THAT(Loaded(s).file,
              StatusIs(kInvalid,
                       "m.gguf: tensor 'b': 96 bytes at offset 96, the data section has "
                       "128 (truncated?)"));
}

// What a model may ask for within each bound is the product of all of them.
TEST(HostileClassesTest, Row9TheSumThatMemoryIsAskedForIsChecked) {
  const auto backend = kernels::CpuBackend::Create({});
  ASSERT_OK(backend);
  EXPECT_THAT((*backend)->NewKvCache({.layers = 1024,
                                      .kv_heads = 4096,
                                      .head_size = 2048,
                                      .capacity = 1 << 26,
                                      .type = kernels::KvType::kF32}),
              StatusIs(absl::StatusCode::kResourceExhausted, "KV cache of more than 2^60 bytes"));
  EXPECT_THAT((*backend)->NewKvCache({.layers = 64,
                                      .kv_heads = 64,
                                      .head_size = 2048,
                                      .capacity = 1 << 26,
                                      .type = kernels::KvType::kF16}),
              StatusIs(absl::StatusCode::kResourceExhausted,
                       "no memory for a KV cache of 2251799813685248 bytes (67108864 positions): "
                       "Cannot allocate memory"));
}

TEST(HostileClassesTest, Row7RowsOfQuantisedTypesDoNotWrap) {
  GgufWriter w;
  // 2^58 rows of 34 bytes: 2^63 + 2^59.
  w.AddTensor("t", {32, int64_t{1} << 58}, 8, std::string(34, '\0'));
  EXPECT_THAT(Loaded(w).file,
              StatusIs(kInvalid, "m.gguf: tensor 't': the product of its sizes overflows 63 bits"));
  GgufWriter fits;
  fits.AddTensor("t", {32, int64_t{1} << 57}, 8, std::string(34, '\0'));
  EXPECT_THAT(Loaded(fits).file,
              StatusIs(kInvalid,
                       "m.gguf: tensor 't': [32, 144115188075855872, 1, 1] of Q8_0 is "
                       "more than the file's 160 bytes (truncated?)"));
}

TEST(HostileClassesTest, Row10PaddingPastTheEndOfTheFile) {
  GgufWriter w;
  w.AddU32("general.alignment", 1 << 20);
  w.AddTensor("t", {1}, 99, "");
  EXPECT_THAT(Loaded(w).file, StatusIs(kInvalid,
                                       "m.gguf: the data section would begin at 1048576, "
                                       "the file has 96 bytes (truncated?)"));
}

// 2^32 + 4 is 4 in 32 bits. The type is unknown, so that no size in bytes is checked before.
TEST(HostileClassesTest, Row12SizesAreComparedInAllTheirBits) {
  GgufWriter w;
  w.AddString("general.architecture", "llama");
  for (const char* key : {"block_count", "attention.head_count", "feed_forward_length",
                          "context_length", "vocab_size"}) {
    w.AddU32(absl::StrCat("llama.", key), 2);
  }
  w.AddU32("llama.embedding_length", 4);
  w.AddF32("llama.attention.layer_norm_rms_epsilon", 1e-5f);
  w.AddTensor("token_embd.weight", {(int64_t{1} << 32) + 4, 2}, 99, std::string(32, '\0'));
  const Loaded loaded(w);
  ASSERT_OK(loaded.file);
  ASSERT_OK_AND_ASSIGN(const model::ModelConfig config, model::ReadConfig(**loaded.file));
  EXPECT_THAT(model::FindTensors(**loaded.file, config),
              StatusIs(kInvalid,
                       "m.gguf: tensor 'token_embd.weight' is [4294967300, 2, 1, 1], [4, "
                       "2, 1, 1] expected"));
}

// Every key and tensor in turn is made to fail: whatever was built before it is let go of once.
TEST(HostileClassesTest, Rows14And17ErrorsLetGoOfWhatWasBuilt) {
  testing::TinyModelOptions options;
  options.layers = 1;
  options.width = 32;
  options.heads = 2;
  options.kv_heads = 1;
  options.feed_forward = 32;
  options.vocabulary = 260;
  const std::string whole = testing::TinyModel(options).Serialize();
  const Loaded loaded(whole);
  ASSERT_OK(loaded.file);
  int refused = 0;
  const auto break_name = [&](const std::string& name) {
    std::string bytes = whole;
    bytes[bytes.find(name) + name.size() - 1] ^= 1;
    const Loaded broken(bytes);
    ASSERT_OK(broken.file);
    const auto config = model::ReadConfig(**broken.file);
    const absl::Status tensors =
        config.ok() ? model::FindTensors(**broken.file, *config).status() : config.status();
    const absl::Status text = tokenizer::Tokenizer::Create(**broken.file).status();
    if (!tensors.ok() || !text.ok()) ++refused;
  };
  for (const auto& [key, value] : (*loaded.file)->Describe()) break_name(key);
  for (const model::TensorInfo& tensor : (*loaded.file)->tensors()) break_name(tensor.name);
  EXPECT_GT(refused, 20);
}

// The most keys and tensors a file may have: comparing each with all would take 4e9 comparisons.
TEST(HostileClassesTest, Row16AFullTableTakesNoQuadraticTime) {
  constexpr int kMost = 65536;
  GgufWriter w;
  for (int i = 0; i < kMost; ++i) {
    w.AddBool(absl::StrCat("k", i), true);
    w.AddTensor(absl::StrCat("t", i), {1}, 99, "");
  }
  const std::string bytes = w.Serialize();
  const absl::Time begin = absl::Now();
  const Loaded full(bytes);
  ASSERT_OK(full.file);
  EXPECT_LT(absl::Now() - begin, absl::Seconds(20));
  EXPECT_NE((*full.file)->FindTensor("t65535"), nullptr);
  w.AddBool("one more", true);
  EXPECT_THAT(Loaded(w).file,
              StatusIs(kInvalid, "m.gguf: key count 65537, at most 65536 expected"));
}

std::vector<std::string> Methods(const google::protobuf::ServiceDescriptor* service) {
  std::vector<std::string> names;
  for (int i = 0; i < service->method_count(); ++i) names.push_back(service->method(i)->name());
  return names;
}

TEST(HostileClassesTest, Row19NoSideProtocol) {
  EXPECT_THAT(Methods(v1::GenerateRequest::descriptor()->file()->FindServiceByName("Worker")),
              ElementsAre("Generate", "GetModel", "Tokenize", "Detokenize"));
  EXPECT_THAT(Methods(v1::IngestRequest::descriptor()->file()->FindServiceByName("Collector")),
              ElementsAre("Ingest", "ListRuns", "GetRun", "Compare", "Export", "Import",
                          "GetTensor", "ReadCapture", "DeleteRun"));
  EXPECT_THAT(serve::MayListen(*serve::ParseAddress("0.0.0.0:7000"), {}, false),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       "refusing to listen on 0.0.0.0:7000, which other machines can reach: give "
                       "--tls-cert and --tls-key, or --insecure"));
}

}  // namespace
}  // namespace parity
