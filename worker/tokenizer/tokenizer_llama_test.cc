// Differential test: ids, pieces and end-of-generation sets against libllama's, on random text.
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_join.h"
#include "tests/testing/status_matchers.h"
#include "worker/model/gguf_file.h"
#include "worker/tokenizer/llama_oracle.h"
#include "worker/tokenizer/random_text.h"
#include "worker/tokenizer/tokenizer.h"
#include "worker/tokenizer/utf8.h"

namespace parity::tokenizer {
namespace {

struct Case {
  const char* name;
  const char* path;
  int texts;
  bool space_marks = false;  // U+2581 for a space
  bool exact = true;         // texts come back exactly
};

class LlamaTest : public ::testing::TestWithParam<Case> {
 protected:
  void CheckEveryToken() {
    ASSERT_EQ(tokenizer_->vocabulary(), oracle_->vocabulary());
    for (int32_t id = 0; id < tokenizer_->vocabulary(); ++id) {
      for (const bool special : {false, true}) {
        const std::string piece = oracle_->Piece(id, special);
        // libllama writes what no byte makes as [UNK_BYTE_0x..]; we write it as it stands.
        if (absl::StrContains(piece, "[UNK_BYTE_0x")) continue;
        ASSERT_EQ(tokenizer_->Piece(id, special), piece) << id;
      }
      ASSERT_EQ(tokenizer_->IsEndOfGeneration(id), oracle_->IsEndOfGeneration(id)) << id;
    }
  }

  // Special tokens, and as many ordinary ones.
  std::vector<std::string> VocabularyTexts() {
    std::vector<std::string> special, ordinary;
    for (int32_t id = 0; id < tokenizer_->vocabulary(); ++id) {
      const std::string shown = tokenizer_->Piece(id, true);
      if (tokenizer_->Piece(id, false).empty()) {
        special.push_back(shown);
      } else if (id % 97 == 0) {
        ordinary.push_back(shown);
      }
    }
    if (special.size() > ordinary.size()) special.resize(ordinary.size());
    special.insert(special.end(), ordinary.begin(), ordinary.end());
    return special;
  }

  // Whether the ids can hold all of `text`: none can hold all of invalid UTF-8 (SentencePiece reads
  // a stray lead byte and the first byte of U+2581, its space, as one character), nor SentencePiece
  // a U+2581 of the text, nor phi-3 the white space behind its special tokens.
  bool IsWritable(const std::string& text) const {
    if (GetParam().space_marks && absl::StrContains(text, kSpaceMark)) return false;
    std::string written;
    for (const uint32_t c : CodePoints(text)) AppendUtf8(written, c);
    return GetParam().exact && written == text;
  }

  void CheckRandomTexts() {
    RandomText random(20240607, VocabularyTexts(), /*longest_run=*/3000);
    int thrown = 0, lossy = 0, round_trips = 0;
    size_t bytes = 0, longest = 0;
    for (int i = 0; i < GetParam().texts; ++i) {
      const std::string text = random.Next();
      bytes += text.size();
      longest = std::max(longest, text.size());
      size_t dropped = 0;
      const EncodeOptions options = {
          .add_special = i % 2 == 0, .parse_special = i % 3 != 0, .dropped_bytes = &dropped};
      ASSERT_OK_AND_ASSIGN(const auto ids, tokenizer_->Encode(text, options));
      const auto expected = oracle_->Ids(text, options);
      if (!expected.has_value()) {
        // Excluded, since libllama throws: this one kind of text, and only it.
        ASSERT_TRUE(HasCodePointTooHigh(text)) << absl::CHexEscape(text);
        ++thrown;
        continue;
      }
      lossy += dropped > 0;
      ASSERT_EQ(ids, *expected) << "text " << i << ": \"" << absl::CHexEscape(text)
                                << "\"\n ours: " << absl::StrJoin(ids, " ")
                                << "\n libllama's: " << absl::StrJoin(*expected, " ");
      if (!options.add_special && IsWritable(text) && dropped == 0) {
        ++round_trips;
        ASSERT_OK_AND_ASSIGN(const std::string back, tokenizer_->Decode(ids, true));
        ASSERT_EQ(back, text) << absl::CHexEscape(back) << "\n" << absl::CHexEscape(text);
      }
    }
    EXPECT_LT(thrown, GetParam().texts / 50);
    EXPECT_TRUE(!GetParam().exact || round_trips > GetParam().texts / 8) << round_trips;
    std::cout << GetParam().texts << " texts, " << bytes << " bytes, the longest " << longest
              << "; " << thrown << " at which libllama throws, " << lossy
              << " with bytes that no token stands for, " << round_trips << " come back exactly\n";
  }

  std::unique_ptr<LlamaOracle> oracle_;
  std::unique_ptr<model::GgufFile> file_;
  std::unique_ptr<Tokenizer> tokenizer_;
};

// One test, since loading a vocabulary costs more than checking it.
TEST_P(LlamaTest, SameIdsPiecesAndEnds) {
  const std::string path = ParityCache() + GetParam().path;
  if (!std::ifstream(path)) GTEST_SKIP() << path << " is absent; deploy/fetch brings it";
  oracle_ = LlamaOracle::Load(path);
  ASSERT_NE(oracle_, nullptr);
  ASSERT_OK_AND_ASSIGN(file_, model::GgufFile::Open(path));
  ASSERT_OK_AND_ASSIGN(tokenizer_, Tokenizer::Create(*file_));
  CheckEveryToken();
  CheckRandomTexts();
}

constexpr char kSmollm2[] = "SmolLM2-135M-Instruct.Q4_1.gguf";
constexpr char kGemma3[] = "gemma3-270m-q4_k_m.gguf";

INSTANTIATE_TEST_SUITE_P(Real, LlamaTest,
                         ::testing::Values(Case{"SmolLM2", kSmollm2, 20000},
                                           Case{"Gemma3", kGemma3, 20000, true}),
                         [](const auto& info) { return std::string(info.param.name); });

INSTANTIATE_TEST_SUITE_P(
    Vocabulary, LlamaTest,
    ::testing::Values(Case{"Aquila", "llama/models/ggml-vocab-aquila.gguf", 400},
                      Case{"Baichuan", "llama/models/ggml-vocab-baichuan.gguf", 400, true},
                      Case{"DeepseekCoder", "llama/models/ggml-vocab-deepseek-coder.gguf", 400},
                      Case{"DeepseekLlm", "llama/models/ggml-vocab-deepseek-llm.gguf", 400},
                      Case{"Falcon", "llama/models/ggml-vocab-falcon.gguf", 400},
                      Case{"Gemma4", "llama/models/ggml-vocab-gemma-4.gguf", 1000, true},
                      Case{"Gpt2", "llama/models/ggml-vocab-gpt-2.gguf", 400},
                      Case{"LlamaBpe", "llama/models/ggml-vocab-llama-bpe.gguf", 400},
                      Case{"LlamaSpm", "llama/models/ggml-vocab-llama-spm.gguf", 1000, true},
                      Case{"Mpt", "llama/models/ggml-vocab-mpt.gguf", 400},
                      Case{"Phi3", "llama/models/ggml-vocab-phi-3.gguf", 1000, true, false},
                      Case{"Qwen2", "llama/models/ggml-vocab-qwen2.gguf", 400},
                      Case{"Starcoder", "llama/models/ggml-vocab-starcoder.gguf", 400}),
    [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace parity::tokenizer
