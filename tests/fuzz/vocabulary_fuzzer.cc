// A hostile vocabulary: refused with a line, or safe to encode and decode with.
//
// The input is text, a key a line; GgufWriter makes a well-formed file of it, so that mutations
// reach the vocabulary itself and not the reader of files (gguf_fuzzer has that):
//   model and pre-tokenizer are the first two lines, then
//   "tKtext" a token of type K, "mleft right" a merge, "xtext" a text to encode, "iNAME VALUE" an
//   id key, "fNAME" a flag that is set.
#include <glog/logging.h>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/fuzz/memory_bound.h"
#include "tests/testing/gguf_writer.h"
#include "worker/tokenizer/tokenizer.h"

namespace parity::fuzz {

namespace {

using testing::GgufWriter;
using tokenizer::Tokenizer;

struct Request {
  GgufWriter vocabulary;
  std::vector<std::string> texts;
};

Request Read(absl::string_view input) {
  Request request;
  std::vector<std::string> tokens, merges;
  std::vector<int32_t> types;
  std::vector<float> scores;
  const std::vector<absl::string_view> lines = absl::StrSplit(input, '\n');
  if (!lines[0].empty()) request.vocabulary.AddString("tokenizer.ggml.model", lines[0]);
  if (lines.size() > 1) request.vocabulary.AddString("tokenizer.ggml.pre", lines[1]);
  for (size_t i = 2; i < lines.size(); ++i) {
    if (lines[i].empty()) continue;
    const std::string rest(lines[i].substr(1));
    if (lines[i][0] == 't' && !rest.empty()) {
      types.push_back(rest[0] - '0');
      tokens.push_back(rest.substr(1));
      scores.push_back(static_cast<float>(i % 5));
    } else if (lines[i][0] == 'm') {
      merges.push_back(rest);
    } else if (lines[i][0] == 'x') {
      request.texts.push_back(rest);
    } else if (lines[i][0] == 'f') {
      request.vocabulary.AddBool(absl::StrCat("tokenizer.ggml.", rest), true);
    } else if (lines[i][0] == 'i') {
      const std::pair<std::string, std::string> key = absl::StrSplit(rest, absl::MaxSplits(' ', 1));
      int32_t id = 0;
      if (!absl::SimpleAtoi(key.second, &id)) continue;
      request.vocabulary.AddI32(absl::StrCat("tokenizer.ggml.", key.first), id);
    }
  }
  request.vocabulary.AddStrings("tokenizer.ggml.tokens", tokens);
  request.vocabulary.AddI32s("tokenizer.ggml.token_type", types);
  request.vocabulary.AddF32s("tokenizer.ggml.scores", scores);
  request.vocabulary.AddStrings("tokenizer.ggml.merges", merges);
  return request;
}

void Use(const Tokenizer& tokenizer, absl::string_view text) {
  for (const bool special : {true, false}) {
    const auto ids = tokenizer.Encode(text, {.add_special = special, .parse_special = special});
    if (!ids.ok()) {
      CheckErrorLine(ids.status());
      continue;
    }
    for (const int32_t id : *ids) CHECK(id >= 0 && id < tokenizer.vocabulary()) << id;
    const auto back = tokenizer.Decode(*ids, special);
    CHECK(back.ok()) << back.status();
  }
}

}  // namespace

const int kReplayedMutations = 2000;

std::vector<std::string> Seeds() {
  return {
      "gpt2\nsmollm\nt1a\nt1b\nt1ab\nt3<|end|>\nt4<user>\nma b\nibos_token_id "
      "3\nxab<|end|>ba\nxc\n",
      "gpt2\nllama-bpe\nt1\u0120\nt1a\nt1\u0120a\nm\u0120 a\nieos_token_id 1\nfadd_eos_token\nx a "
      "a\n",
      "llama\n\nt2<unk>\nt3<s>\nt3</s>\nt6<0x41>\nt6<0x42>\nt1\u2581\nt1a\nt1\u2581a\nt5unused\n"
      "fadd_bos_token\nfadd_space_prefix\nxa a</s>A\nxAB\n",
      "llama\n\nt1\nt9x\nt3<|im_end|>\nt3<EOT>\nt3<|fim_pad|>\niunknown_token_id "
      "-5\nxx<|im_end|>\n",
      "gpt2\nqwen2\nt1a\nt1a\nm a\nma\nm\nxa\n",
      "gpt2\nqwen2\nt1a\nm\u0100 \u0101\nma b c\nxa\n"};
}

void RunOne(absl::string_view input) {
  const Request request = Read(input);
  const std::string bytes = request.vocabulary.Serialize();
  const MemoryBound bound(bytes.size());
  const auto file = model::GgufFile::FromBytes(
      "v.gguf", absl::MakeConstSpan(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()));
  if (!file.ok()) return CheckErrorLine(file.status());  // a key that stands twice
  const auto tokenizer = Tokenizer::Create(**file);
  if (!tokenizer.ok()) {
    CheckErrorLine(tokenizer.status());
    CHECK(absl::StartsWith(tokenizer.status().message(), "v.gguf: ")) << tokenizer.status();
    return;
  }
  for (int32_t id = 0; id < (*tokenizer)->vocabulary(); ++id) {
    CHECK_LE((*tokenizer)->Piece(id, false).size(), (*tokenizer)->Piece(id, true).size());
  }
  for (const int32_t id : (*tokenizer)->end_of_generation_ids()) {
    CHECK(id >= 0 && id < (*tokenizer)->vocabulary() && (*tokenizer)->IsEndOfGeneration(id)) << id;
  }
  for (const std::string& text : request.texts) Use(**tokenizer, text);
}

}  // namespace parity::fuzz
