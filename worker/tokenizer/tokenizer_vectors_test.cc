// libllama's own vocabulary files with their inputs and expected ids.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "tests/testing/status_matchers.h"
#include "worker/model/gguf_file.h"
#include "worker/tokenizer/tokenizer.h"

namespace parity::tokenizer {
namespace {

std::string ModelsDirectory() {
  if (const char* llama = std::getenv("PARITY_LLAMA_DIR")) return std::string(llama) + "/models/";
  const char* cache = std::getenv("XDG_CACHE_HOME");
  const char* home = std::getenv("HOME");
  const std::string root = cache != nullptr  ? std::string(cache)
                           : home != nullptr ? std::string(home) + "/.cache"
                                             : "";
  return root + "/parity/llama/models/";
}

std::string ReadAll(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(in), {});
}

class VectorsTest : public ::testing::TestWithParam<const char*> {};

TEST_P(VectorsTest, IdsAreLibllamas) {
  const std::string path = ModelsDirectory() + "ggml-vocab-" + GetParam() + ".gguf";
  const std::string inputs = ReadAll(path + ".inp");
  if (inputs.empty()) GTEST_SKIP() << path << ".inp is absent; deploy/fetch llama brings it";
  ASSERT_OK_AND_ASSIGN(const auto file, model::GgufFile::Open(path));
  ASSERT_OK_AND_ASSIGN(const auto tokenizer, Tokenizer::Create(*file));
  std::vector<std::string> texts = absl::StrSplit(inputs, "\n__ggml_vocab_test__\n");
  if (texts.back().empty()) texts.pop_back();  // the last text has its separator too
  std::vector<std::string> lines = absl::StrSplit(ReadAll(path + ".out"), '\n');
  if (lines.back().empty()) lines.pop_back();
  ASSERT_EQ(texts.size(), lines.size());
  ASSERT_GT(texts.size(), 30u);
  for (size_t i = 0; i < texts.size(); ++i) {
    std::vector<int32_t> expected;
    for (absl::string_view id : absl::StrSplit(lines[i], ' ', absl::SkipWhitespace())) {
      ASSERT_TRUE(absl::SimpleAtoi(id, &expected.emplace_back())) << lines[i];
    }
    // The vectors were made without BOS and EOS, and with special tokens as plain text.
    const auto ids = tokenizer->Encode(texts[i], {.add_special = false, .parse_special = false});
    ASSERT_OK(ids);
    EXPECT_EQ(*ids, expected) << "text " << i << ": " << texts[i];
    const auto back = tokenizer->Decode(*ids, false);
    ASSERT_OK(back);
    EXPECT_EQ(*back, texts[i]);
  }
}

INSTANTIATE_TEST_SUITE_P(All, VectorsTest,
                         ::testing::Values("command-r", "falcon", "gpt-2", "llama-bpe", "llama-spm",
                                           "mpt", "phi-3", "qwen2", "qwen35", "refact",
                                           "starcoder"),
                         [](const auto& info) {
                           std::string name = info.param;
                           std::erase(name, '-');
                           return name;
                         });

}  // namespace
}  // namespace parity::tokenizer
