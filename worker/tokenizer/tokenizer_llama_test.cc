// Differential test: ids, pieces and end-of-generation sets against libllama's, on random text.
#include <gtest/gtest.h>
#include <llama.h>

#include <cstdlib>
#include <fstream>
#include <iostream>
#include <iterator>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "tests/testing/status_matchers.h"
#include "worker/model/gguf_file.h"
#include "worker/tokenizer/tokenizer.h"

namespace parity::tokenizer {
namespace {

std::string CacheDirectory() {
  const char* cache = std::getenv("XDG_CACHE_HOME");
  const char* home = std::getenv("HOME");
  const std::string root = cache != nullptr  ? std::string(cache)
                           : home != nullptr ? std::string(home) + "/.cache"
                                             : "";
  return root + "/parity/";
}

void Silent(ggml_log_level, const char*, void*) {}

struct ModelDeleter {
  void operator()(llama_model* model) const { llama_model_free(model); }
};

// Fragments that the splitters and mergers treat differently; strings are made of several of them.
constexpr const char* kFragments[] = {" ",
                                      "  ",
                                      "   ",
                                      "\n",
                                      "\n\n",
                                      "\r\n",
                                      "\t",
                                      " \n ",
                                      "\u00a0",
                                      "\u3000",
                                      "\u2028",
                                      "\x0b",
                                      "a",
                                      "the",
                                      "The",
                                      "THE",
                                      " the",
                                      "hello world",
                                      "don't",
                                      "DON'T",
                                      "we'll",
                                      "I'VE",
                                      "'",
                                      "''s",
                                      "1",
                                      "12",
                                      "123",
                                      "1234567",
                                      "\u0661\u0662",
                                      "\u00bd",
                                      "\u2167",
                                      "\u4e09",
                                      "!",
                                      "?!",
                                      "...",
                                      "--",
                                      "==>",
                                      "$+<=>^~|`",
                                      "()[]{}",
                                      "\"",
                                      "\\n",
                                      "/* x */",
                                      "_",
                                      "#!",
                                      "\u00e9",
                                      "e\u0301",
                                      "\u0301",
                                      "na\u00efve",
                                      "stra\u00dfe",
                                      "\u0130",
                                      "\u017f",
                                      "\u212a",
                                      "\u043f\u0440\u0438\u0432\u0435\u0442",
                                      "\u03b1\u03b2\u03b3",
                                      "\u0645\u0631\u062d\u0628\u0627",
                                      "\u05e9\u05dc\u05d5\u05dd",
                                      "\u0928\u092e\u0938\u094d\u0924\u0947",
                                      "\u1780\u17b6\u1793\u17cb",
                                      "\u0e2a\u0e27\u0e31\u0e2a\u0e14\u0e35",
                                      "\u4f60\u597d",
                                      "\u3053\u3093\u306b\u3061\u306f",
                                      "\uc548\ub155",
                                      "\U0002EBF0",
                                      "\U00020000",
                                      "\u2581",
                                      "\ufffd",
                                      "\ufeff",
                                      "\u200b",
                                      "\u200d",
                                      "\U0001F600",
                                      "\U0001F469\u200d\U0001F4BB",
                                      "\U0001F1E9\U0001F1EA",
                                      "\u2705",
                                      "\ufe0f",
                                      "<|im_start|>",
                                      "<|im_end|>",
                                      "<|endoftext|>",
                                      "<s>",
                                      "</s>",
                                      "<unk>",
                                      "<|im_",
                                      "<0x41>",
                                      "def f(x):\n    return x\n",
                                      "https://a.b/c?d=e&f",
                                      "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
                                      "\x01",
                                      "\x1b[0m",
                                      "\x7f",
                                      "\xc2\x85",
                                      "\x80",
                                      "\xff",
                                      "\xe2\x82",
                                      "\xc3",
                                      "\xed\xa0\x80",
                                      "\xc0\xaf",
                                      "\xf0\x9f"};

std::string RandomText(std::mt19937_64& random) {
  std::string text;
  const size_t parts = 1 + random() % 12;
  for (size_t i = 0; i < parts; ++i) {
    switch (random() % 8) {
      case 0:  // any ASCII
        text.push_back(static_cast<char>(1 + random() % 127));
        break;
      case 1: {  // any code point of two or three bytes
        const uint32_t c = 0x80 + random() % 0xFF80;
        if (c < 0x800) {
          text.push_back(static_cast<char>(0xC0 | (c >> 6)));
        } else {
          text.push_back(static_cast<char>(0xE0 | (c >> 12)));
          text.push_back(static_cast<char>(0x80 | ((c >> 6) & 0x3F)));
        }
        text.push_back(static_cast<char>(0x80 | (c & 0x3F)));
        break;
      }
      default:
        text += kFragments[random() % std::size(kFragments)];
    }
  }
  if (random() % 50 == 0) text += std::string(1000 + random() % 1000, text.back());
  return text;
}

std::vector<int32_t> LlamaIds(const llama_vocab* vocab, const std::string& text,
                              const EncodeOptions& options) {
  std::vector<int32_t> ids(4 * text.size() + 8);  // an invalid byte becomes three
  const int32_t n =
      llama_tokenize(vocab, text.data(), static_cast<int32_t>(text.size()), ids.data(),
                     static_cast<int32_t>(ids.size()), options.add_special, options.parse_special);
  ids.resize(n < 0 ? 0 : n);
  return ids;
}

struct Case {
  const char* name;
  const char* path;
  int texts;
};

class LlamaTest : public ::testing::TestWithParam<Case> {
 protected:
  // libllama drops a byte that its vocabulary has no token for; we say so instead, naming the byte.
  void CheckRefusal(const absl::Status& status) {
    const std::string message(status.message());
    const size_t hex = message.find("has no token for byte 0x");
    ASSERT_NE(hex, std::string::npos) << status;
    const int byte = std::stoi(message.substr(hex + 24), nullptr, 16);
    ASSERT_LT(byte, 0x80) << "only single-byte characters can be asked of libllama";
    EXPECT_TRUE(LlamaIds(vocab_, std::string(1, static_cast<char>(byte)), {false, false}).empty());
  }

  void CheckRandomTexts() {
    std::mt19937_64 random(20240607);
    int refused = 0;
    for (int i = 0; i < GetParam().texts; ++i) {
      const std::string text = RandomText(random);
      const EncodeOptions options = {.add_special = i % 2 == 0, .parse_special = i % 3 != 0};
      const auto ids = tokenizer_->Encode(text, options);
      if (!ids.ok()) {
        ++refused;
        CheckRefusal(ids.status());
        continue;
      }
      ASSERT_EQ(*ids, LlamaIds(vocab_, text, options)) << absl::CHexEscape(text);
    }
    EXPECT_LT(refused, GetParam().texts / 4);
    std::cout << GetParam().texts << " texts, " << refused << " refused for a missing byte\n";
  }

  void CheckEveryToken() {
    ASSERT_EQ(tokenizer_->vocabulary(), llama_vocab_n_tokens(vocab_));
    std::vector<char> buffer(1 << 16);
    for (int32_t id = 0; id < tokenizer_->vocabulary(); ++id) {
      for (const bool special : {false, true}) {
        const int32_t n = llama_token_to_piece(vocab_, id, buffer.data(),
                                               static_cast<int32_t>(buffer.size()), 0, special);
        ASSERT_GE(n, 0);
        ASSERT_EQ(tokenizer_->Piece(id, special), std::string(buffer.data(), n)) << id;
      }
      ASSERT_EQ(tokenizer_->IsEndOfGeneration(id), llama_vocab_is_eog(vocab_, id)) << id;
    }
  }

  std::unique_ptr<llama_model, ModelDeleter> model_;
  const llama_vocab* vocab_ = nullptr;
  std::unique_ptr<model::GgufFile> file_;
  std::unique_ptr<Tokenizer> tokenizer_;
};

// One test, since loading a vocabulary costs more than checking it.
TEST_P(LlamaTest, SameIdsPiecesAndEnds) {
  const std::string path = CacheDirectory() + GetParam().path;
  if (!std::ifstream(path)) GTEST_SKIP() << path << " is absent; deploy/fetch brings it";
  llama_log_set(Silent, nullptr);
  llama_model_params params = llama_model_default_params();
  params.vocab_only = true;
  model_.reset(llama_model_load_from_file(path.c_str(), params));
  ASSERT_NE(model_, nullptr);
  vocab_ = llama_model_get_vocab(model_.get());
  ASSERT_OK_AND_ASSIGN(file_, model::GgufFile::Open(path));
  ASSERT_OK_AND_ASSIGN(tokenizer_, Tokenizer::Create(*file_));
  CheckEveryToken();
  CheckRandomTexts();
}

INSTANTIATE_TEST_SUITE_P(
    All, LlamaTest,
    ::testing::Values(Case{"SmolLM2", "SmolLM2-135M-Instruct.Q4_1.gguf", 3000},
                      Case{"Falcon", "llama/models/ggml-vocab-falcon.gguf", 500},
                      Case{"Gpt2", "llama/models/ggml-vocab-gpt-2.gguf", 500},
                      Case{"LlamaBpe", "llama/models/ggml-vocab-llama-bpe.gguf", 500},
                      Case{"LlamaSpm", "llama/models/ggml-vocab-llama-spm.gguf", 1000},
                      Case{"Phi3", "llama/models/ggml-vocab-phi-3.gguf", 500},
                      Case{"Qwen2", "llama/models/ggml-vocab-qwen2.gguf", 500},
                      Case{"Starcoder", "llama/models/ggml-vocab-starcoder.gguf", 500}),
    [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace parity::tokenizer
