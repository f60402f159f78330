// Hostile text for vocabularies of every kind: ids are tokens, and valid text comes back.
//
// The input's first byte picks the vocabulary, the second the options; the rest is the text.
#include <glog/logging.h>
#include <simdjson.h>

#include <algorithm>
#include <iterator>
#include <memory>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/fuzz/memory_bound.h"
#include "tests/testing/gguf_writer.h"
#include "tests/testing/tiny_model.h"
#include "worker/tokenizer/tokenizer.h"

namespace parity::fuzz {

namespace {

using testing::GgufWriter;
using tokenizer::Tokenizer;

struct Subject {
  std::unique_ptr<Tokenizer> tokenizer;
  bool sentence_piece;
};

std::unique_ptr<Tokenizer> Create(const GgufWriter& writer) {
  const std::string bytes = writer.Serialize();
  const auto file = model::GgufFile::FromBytes(
      "v.gguf", absl::MakeConstSpan(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()));
  CHECK(file.ok()) << file.status();
  auto made = Tokenizer::Create(**file);
  CHECK(made.ok()) << made.status();
  return *std::move(made);
}

GgufWriter SentencePiece(bool add_space_prefix) {
  std::vector<std::string> texts = {"<unk>", "<s>", "</s>", "<0x", "<mark>"};
  std::vector<int32_t> types = {2, 3, 3, 1, 4};
  for (int b = 0; b < 256; ++b) {
    texts.push_back(absl::StrFormat("<0x%02X>", b));
    types.push_back(6);
  }
  for (const char* piece : {"\u2581", "\u2581\u2581", "a", "b", "ab", "ba", "aba", "\u2581a", "\n",
                            "\n\n", "\u00e9", "\U0001F680"}) {
    texts.push_back(piece);
    types.push_back(1);
  }
  std::vector<float> scores;
  for (size_t i = 0; i < texts.size(); ++i) scores.push_back(-static_cast<float>(i % 7));
  GgufWriter w;
  w.AddString("tokenizer.ggml.model", "llama");
  w.AddStrings("tokenizer.ggml.tokens", texts);
  w.AddI32s("tokenizer.ggml.token_type", types);
  w.AddF32s("tokenizer.ggml.scores", scores);
  w.AddBool("tokenizer.ggml.add_space_prefix", add_space_prefix);
  return w;
}

// gpt2 byte-level BPE under another pre-tokenizer: the texts of the tiny vocabulary, its merges.
GgufWriter BytePair(const std::string& pre) {
  GgufWriter tiny;
  testing::AddTinyVocabulary(tiny, 400);
  const std::string bytes = tiny.Serialize();
  const auto file = *model::GgufFile::FromBytes(
      "v.gguf", absl::MakeConstSpan(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()));
  GgufWriter w;
  w.AddString("tokenizer.ggml.model", "gpt2");
  w.AddString("tokenizer.ggml.pre", pre);
  w.AddStrings("tokenizer.ggml.tokens", **file->GetStringArray("tokenizer.ggml.tokens"));
  w.AddStrings("tokenizer.ggml.merges", **file->GetStringArray("tokenizer.ggml.merges"));
  std::vector<int32_t> types(400, 1);
  for (int i = 0; i < 4; ++i) types[i] = 3;
  w.AddI32s("tokenizer.ggml.token_type", types);
  w.AddU32("tokenizer.ggml.bos_token_id", testing::kTinyEndOfText);
  w.AddU32("tokenizer.ggml.eos_token_id", testing::kTinyImEnd);
  w.AddBool("tokenizer.ggml.add_eos_token", true);
  return w;
}

const std::vector<Subject>& Subjects() {
  static const auto* subjects = [] {
    auto* all = new std::vector<Subject>;
    // One for each way of cutting words.
    for (const char* pre :
         {"default", "gpt-2", "smollm", "falcon", "llama-bpe", "smaug-bpe", "qwen2", "qwen35"}) {
      all->push_back({Create(BytePair(pre)), false});
    }
    for (const bool prefix : {true, false}) all->push_back({Create(SentencePiece(prefix)), true});
    return all;
  }();
  return *subjects;
}

bool IsValid(absl::string_view text) { return simdjson::validate_utf8(text.data(), text.size()); }

// Whole sequences pass, an unfinished tail is held back.
void CheckPrefix(absl::string_view text) {
  const size_t whole = tokenizer::CompleteUtf8Prefix(text);
  CHECK_LE(whole, text.size());
  CHECK_LE(text.size() - whole, 3u);
  if (whole < text.size()) CHECK_GE(static_cast<uint8_t>(text[whole]), 0xC2);
  if (!IsValid(text)) return;
  CHECK_EQ(whole, text.size());
  for (size_t cut = text.size() - std::min<size_t>(text.size(), 4); cut < text.size(); ++cut) {
    const absl::string_view begin = text.substr(0, cut);
    CHECK(IsValid(begin.substr(0, tokenizer::CompleteUtf8Prefix(begin)))) << cut;
  }
}

// What a SentencePiece vocabulary writes for a space comes back as one, as in libllama.
bool ComesBack(const Subject& subject, absl::string_view text) {
  return IsValid(text) && !(subject.sentence_piece && absl::StrContains(text, "\u2581"));
}

}  // namespace

const int kReplayedMutations = 5000;

std::vector<std::string> Seeds() {
  const std::string texts[] = {"Hello, world! It's 12345 o'clock.",
                               "def f(x):\n\n    return x\t# \r\n   end  ",
                               "<|im_start|>user\n\u00e9\u0301\u4f60\u597d "
                               "\U0001F469\u200D\U0001F680<|im_end|><s></s><mark>",
                               "aba abba  \u2581a <0x41>",
                               "bad \xff\xc3\xf0\x9f\x9a \xed\xa0\x80 bytes",
                               std::string("\0\x01\x7f\u00a0\u2028\u0600\u0661\u0ABE\uFFFD", 18)};
  std::vector<std::string> seeds;
  for (size_t subject = 0; subject < Subjects().size(); ++subject) {
    for (size_t i = 0; i < std::size(texts); ++i) {
      seeds.push_back(std::string(1, static_cast<char>(subject)) + static_cast<char>(i % 4) +
                      texts[i]);
    }
  }
  return seeds;
}

void RunOne(absl::string_view input) {
  if (input.size() < 2) return;
  const Subject& subject = Subjects()[static_cast<uint8_t>(input[0]) % Subjects().size()];
  const Tokenizer& tokenizer = *subject.tokenizer;
  tokenizer::EncodeOptions options;
  options.add_special = input[1] & 1;
  options.parse_special = input[1] & 2;
  const absl::string_view text = input.substr(2);
  CheckPrefix(text);
  const MemoryBound bound(input.size());
  const auto ids = tokenizer.Encode(text, options);
  CHECK(ids.ok()) << ids.status();  // these vocabularies have a token for every byte
  std::string pieces;
  for (const int32_t id : *ids) {
    CHECK(id >= 0 && id < tokenizer.vocabulary()) << id;
    pieces += tokenizer.Piece(id, true);
  }
  const auto printed = tokenizer.Decode(*ids, true);
  const auto hidden = tokenizer.Decode(*ids, false);
  CHECK(printed.ok() && hidden.ok()) << printed.status() << hidden.status();
  CHECK_LE(hidden->size(), printed->size());
  if (!subject.sentence_piece) CHECK_EQ(*printed, pieces);
  if (options.add_special || !ComesBack(subject, text)) return;
  CHECK_EQ(*printed, text);
  if (!options.parse_special) CHECK_EQ(*hidden, text);
}

}  // namespace parity::fuzz
