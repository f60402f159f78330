#include "worker/model/inspect.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "kernels/dtype.h"
#include "tests/testing/gguf_writer.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/tiny_model.h"

namespace parity::model {
namespace {

using ::testing::HasSubstr;

absl::StatusOr<std::unique_ptr<GgufFile>> Parse(const std::string& bytes) {
  return GgufFile::FromBytes(
      "m.gguf", absl::MakeConstSpan(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()));
}

TEST(InspectTest, TextNamesTypesTensorsAndDigest) {
  testing::TinyModelOptions options;
  options.matrices = kernels::DType::kQ4_1;
  const std::string bytes = testing::TinyModel(options).Serialize();
  ASSERT_OK_AND_ASSIGN(const auto file, Parse(bytes));
  const std::string text = InspectText(*file);
  EXPECT_THAT(text, HasSubstr("sha256           " + file->sha256() + "\n"));
  EXPECT_THAT(text, HasSubstr("architecture     llama\n"));
  EXPECT_THAT(text, HasSubstr("supported        yes\n"));
  EXPECT_THAT(text, HasSubstr("  layers           2\n"));
  // 2 layers of 4 attention and 3 feed-forward matrices; 2 * (4096 + 2048 * 2 + 4096 + 3 * 6144)
  // values in blocks of 32 values and 20 bytes.
  EXPECT_THAT(text, HasSubstr("  Q4_1             14            38400  \n"));
  EXPECT_THAT(text, HasSubstr("  blk.1.ffn_down.weight    Q4_1     [96, 64]\n"));
  EXPECT_THAT(text, HasSubstr("[384 string]\n"));
}

TEST(InspectTest, BytesPerTokenCountATableOnceAndALookedUpRowOnly) {
  // The table is 384 rows of 64 floats.
  for (bool tied : {true, false}) {
    testing::TinyModelOptions options;
    options.tied = tied;
    const std::string bytes = testing::TinyModel(options).Serialize();
    ASSERT_OK_AND_ASSIGN(const auto file, Parse(bytes));
    int64_t all = 0;
    for (const TensorInfo& tensor : file->tensors()) all += tensor.bytes.size();
    const int64_t expected = all + 64 * 4 - (tied ? 0 : 384 * 64 * 4);
    EXPECT_EQ(nlohmann::json::parse(InspectJson(*file))["bytes_per_token"], expected) << tied;
    EXPECT_THAT(InspectText(*file), HasSubstr(absl::StrCat("bytes per token  ", expected, " (")));
  }
}

// Every type of the table, mixed in one file, a tensor each; and one that nobody knows.
TEST(InspectTest, TypesAreCountedAndTheUnknownOneIsNamed) {
  testing::GgufWriter writer;
  writer.AddString("general.architecture", "llama");
  for (const kernels::DTypeTraits& traits : kernels::AllDTypes()) {
    writer.AddTensor(absl::StrCat("t.", traits.name), {256, 2}, static_cast<uint32_t>(traits.dtype),
                     std::string(2 * kernels::RowBytes(traits.dtype, 256), '\0'));
  }
  writer.AddTensor("t.new", {4}, 99, std::string(32, '\0'));
  const std::string bytes = writer.Serialize();
  ASSERT_OK_AND_ASSIGN(const auto file, Parse(bytes));
  const std::string text = InspectText(*file);
  for (const kernels::DTypeTraits& traits : kernels::AllDTypes()) {
    const int64_t size = 2 * kernels::RowBytes(traits.dtype, 256);
    EXPECT_THAT(text, HasSubstr(absl::StrFormat("  %-10s        1 %16d  \n", traits.name, size)));
  }
  EXPECT_THAT(text, HasSubstr("  type 99           1                ?  not supported\n"));
}

TEST(InspectTest, SaysWhatIsUnsupportedAndWhy) {
  testing::GgufWriter writer;
  writer.AddString("general.architecture", "mam\x1bz");
  writer.AddTensor("t", {4}, 99, std::string(32, '\0'));
  const std::string bytes = writer.Serialize();
  ASSERT_OK_AND_ASSIGN(const auto file, Parse(bytes));
  const std::string text = InspectText(*file);
  EXPECT_THAT(text, HasSubstr("supported        no: m.gguf: architecture 'mam\\x1bz' is not "
                              "supported; supported: llama, qwen2, qwen3, gemma3\n"));
  EXPECT_THAT(text, HasSubstr("type 99"));
  EXPECT_THAT(text, ::testing::Not(HasSubstr("\x1b")));
}

TEST(InspectTest, JsonHoldsTheSame) {
  const std::string bytes = testing::TinyModel({}).Serialize();
  ASSERT_OK_AND_ASSIGN(const auto file, Parse(bytes));
  const nlohmann::json json = nlohmann::json::parse(InspectJson(*file));
  EXPECT_EQ(json["sha256"], file->sha256());
  EXPECT_EQ(json["size_bytes"], bytes.size());
  EXPECT_TRUE(json["supported"]);
  EXPECT_EQ(json["config"]["width"], 64);
  EXPECT_EQ(json["config"]["rms_epsilon"], 1e-5f);
  EXPECT_EQ(json["tensors"].size(), file->tensors().size());
  EXPECT_EQ(json["tensors"][0]["shape"], nlohmann::json({64, 384}));
  EXPECT_EQ(json["metadata"]["llama.block_count"], "2");
}

TEST(InspectTest, VocabularyOnlyFileIsNamedAsSuch) {
  testing::GgufWriter writer;
  testing::AddTinyVocabulary(writer, 300);
  const std::string bytes = writer.Serialize();
  ASSERT_OK_AND_ASSIGN(const auto file, Parse(bytes));
  EXPECT_FALSE(nlohmann::json::parse(InspectJson(*file))["supported"]);
  EXPECT_THAT(InspectText(*file), HasSubstr("no: m.gguf: key 'general.architecture' is missing"));
}

}  // namespace
}  // namespace parity::model
