// libllama's own vocabulary files with their inputs and expected ids.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
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

using ::testing::HasSubstr;

constexpr char kSeparator[] = "\n__ggml_vocab_test__\n";

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

std::vector<int32_t> Ids(absl::string_view line) {
  std::vector<int32_t> ids;
  for (absl::string_view id : absl::StrSplit(line, ' ', absl::SkipWhitespace())) {
    EXPECT_TRUE(absl::SimpleAtoi(id, &ids.emplace_back())) << line;
  }
  return ids;
}

// Checks the vectors of one vocabulary. Returns how many there were.
size_t CheckVectors(const Tokenizer& tokenizer, const std::string& path) {
  std::vector<std::string> texts = absl::StrSplit(ReadAll(path + ".inp"), kSeparator);
  if (texts.back().empty()) texts.pop_back();  // the last text has its separator too
  std::vector<std::string> lines = absl::StrSplit(ReadAll(path + ".out"), '\n');
  if (!lines.empty() && lines.back().empty()) lines.pop_back();
  EXPECT_EQ(texts.size(), lines.size());
  for (size_t i = 0; i < std::min(texts.size(), lines.size()); ++i) {
    // The vectors were made without BOS and EOS, and with special tokens as plain text.
    const auto ids = tokenizer.Encode(texts[i], {.add_special = false, .parse_special = false});
    EXPECT_OK(ids);
    if (!ids.ok()) continue;
    EXPECT_EQ(*ids, Ids(lines[i])) << "text " << i << ": " << texts[i];
    const auto back = tokenizer.Decode(*ids, false);
    EXPECT_OK(back);
    if (back.ok()) {
      EXPECT_EQ(*back, texts[i]);
    }
  }
  return texts.size();
}

// Every vocabulary that lies there passes its vectors, or is refused by the names of its tokenizer
// model and pre-tokenizer; refused may be only what is neither BPE nor SentencePiece's BPE.
TEST(VectorsTest, EveryVocabularyPassesOrIsRefusedByName) {
  std::vector<std::filesystem::path> paths;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(ModelsDirectory(), error)) {
    if (entry.path().extension() == ".gguf") paths.push_back(entry.path());
  }
  if (paths.empty()) {
    GTEST_SKIP() << ModelsDirectory() << " has no .gguf; deploy/fetch llama brings them";
  }
  std::sort(paths.begin(), paths.end());
  size_t passed = 0, unchecked = 0, refused = 0;
  for (const std::filesystem::path& path : paths) {
    SCOPED_TRACE(path.filename().string());
    ASSERT_OK_AND_ASSIGN(const auto file, model::GgufFile::Open(path.string()));
    ASSERT_OK_AND_ASSIGN(const auto model, file->GetString("tokenizer.ggml.model"));
    ASSERT_OK_AND_ASSIGN(const auto pre, file->GetString("tokenizer.ggml.pre"));
    const auto tokenizer = Tokenizer::Create(*file);
    if (*model == "gpt2" || *model == "llama" || *model == "gemma4") {
      ASSERT_OK(tokenizer);
      const size_t texts = CheckVectors(**tokenizer, path.string());
      ++(texts > 0 ? passed : unchecked);
      EXPECT_TRUE(texts == 0 || texts > 30) << texts;
    } else {
      ++refused;
      EXPECT_THAT(tokenizer,
                  testing::StatusIs(absl::StatusCode::kUnimplemented,
                                    ::testing::AllOf(HasSubstr("'" + *model + "'"),
                                                     HasSubstr("'" + pre.value_or("") + "'"))));
    }
  }
  // libllama brings 14 with vectors, 3 without, and 2 of other kinds.
  EXPECT_GE(passed, 14u);
  std::cout << passed << " vocabularies passed their vectors, " << unchecked << " have none, "
            << refused << " are refused\n";
}

}  // namespace
}  // namespace parity::tokenizer
