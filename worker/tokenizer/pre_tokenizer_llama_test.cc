// Every pre-tokenizer that we know by name, against libllama's of that name, on random text.
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "tests/testing/gguf_writer.h"
#include "tests/testing/status_matchers.h"
#include "worker/model/gguf_file.h"
#include "worker/tokenizer/llama_oracle.h"
#include "worker/tokenizer/pre_tokenizer.h"
#include "worker/tokenizer/random_text.h"
#include "worker/tokenizer/tokenizer.h"
#include "worker/tokenizer/utf8.h"

namespace parity::tokenizer {
namespace {

constexpr int kTexts = 150;
// libllama runs most expressions by std::regex, which recurses once or more for each character of a
// match: runs of ten thousand end its stack.
constexpr size_t kLongestRun = 600;
// Of all pairs, so that loading stays quick.
constexpr size_t kPairs = 12000;

// GPT-2's writing of the 256 bytes, or characters that texts are often made of.
std::vector<std::string> Alphabet(bool characters) {
  std::vector<std::string> alphabet;
  uint32_t next = 256;
  for (uint32_t c = 0; c < 256; ++c) {
    const bool printable =
        (c >= 0x21 && c <= 0x7E) || (c >= 0xA1 && c <= 0xAC) || (c >= 0xAE && c <= 0xFF);
    alphabet.emplace_back();
    AppendUtf8(alphabet.back(), characters || printable ? c : next++);
  }
  // Neither NUL nor a space stands in such a vocabulary; U+2581 is the space.
  if (characters) alphabet[0] = alphabet[' '] = "\u2581";
  std::sort(alphabet.begin(), alphabet.end());
  alphabet.erase(std::unique(alphabet.begin(), alphabet.end()), alphabet.end());
  return alphabet;
}

// A vocabulary in which two neighbours are often a token and their merges stand in random order: a
// word that is cut elsewhere nearly always gives other ids.
void WriteVocabulary(const std::string& path, const std::string& pre, bool characters) {
  std::mt19937_64 random(7);
  std::vector<std::string> tokens = Alphabet(characters);
  const size_t single = tokens.size();
  std::vector<std::pair<size_t, size_t>> pairs;
  for (size_t a = 0; a < single; ++a) {
    for (size_t b = 0; b < single; ++b) pairs.emplace_back(a, b);
  }
  std::shuffle(pairs.begin(), pairs.end(), random);
  pairs.resize(kPairs);
  std::vector<std::string> merges;
  for (const auto& [a, b] : pairs) {
    tokens.push_back(tokens[a] + tokens[b]);
    merges.push_back(tokens[a] + " " + tokens[b]);
  }
  std::vector<int32_t> types(tokens.size(), 1);
  for (int b = 0; characters && b < 256; ++b) {
    tokens.push_back(absl::StrFormat("<0x%02X>", b));
    types.push_back(6);
  }
  testing::GgufWriter writer;
  writer.AddString("general.architecture", "llama");
  writer.AddString("tokenizer.ggml.model", "gpt2");
  writer.AddString("tokenizer.ggml.pre", pre);
  writer.AddStrings("tokenizer.ggml.tokens", tokens);
  writer.AddI32s("tokenizer.ggml.token_type", types);
  writer.AddStrings("tokenizer.ggml.merges", merges);
  // Where the name gives none by default, the file must not ask for one.
  writer.AddU32("tokenizer.ggml.bos_token_id", 3);
  ASSERT_OK(writer.Write(path));
}

class PreTokenizerLlamaTest : public ::testing::TestWithParam<std::string> {};

TEST_P(PreTokenizerLlamaTest, SameIds) {
  ASSERT_OK_AND_ASSIGN(const PreTokenizer pre, FindPreTokenizer(GetParam()));
  const std::string path = ::testing::TempDir() + "/pre.gguf";
  WriteVocabulary(path, GetParam(), pre.characters);
  const auto oracle = LlamaOracle::Load(path);
  ASSERT_NE(oracle, nullptr);
  ASSERT_OK_AND_ASSIGN(const auto file, model::GgufFile::Open(path));
  ASSERT_OK_AND_ASSIGN(const auto tokenizer, Tokenizer::Create(*file));
  RandomText random(std::hash<std::string>()(GetParam()), {}, kLongestRun);
  for (int i = 0; i < kTexts; ++i) {
    const std::string text = random.Next();
    const EncodeOptions options = {.add_special = true, .parse_special = true};
    const auto expected = oracle->Ids(text, options);
    if (!expected.has_value()) {
      ASSERT_TRUE(HasCodePointTooHigh(text)) << absl::CHexEscape(text);
      continue;
    }
    ASSERT_OK_AND_ASSIGN(const auto ids, tokenizer->Encode(text, options));
    ASSERT_EQ(ids, *expected) << "text " << i << ": \"" << absl::CHexEscape(text)
                              << "\"\n ours: " << absl::StrJoin(ids, " ")
                              << "\n libllama's: " << absl::StrJoin(*expected, " ");
  }
}

INSTANTIATE_TEST_SUITE_P(All, PreTokenizerLlamaTest, ::testing::ValuesIn(PreTokenizerNames()),
                         [](const auto& info) {
                           std::string name = info.param;
                           for (char& c : name) {
                             if (!std::isalnum(static_cast<unsigned char>(c))) c = '_';
                           }
                           return name;
                         });

}  // namespace
}  // namespace parity::tokenizer
