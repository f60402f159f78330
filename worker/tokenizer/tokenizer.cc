#include "worker/tokenizer/tokenizer.h"

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "proto/status/status_macros.h"
#include "worker/tokenizer/bpe_tokenizer.h"
#include "worker/tokenizer/spm_tokenizer.h"
#include "worker/tokenizer/utf8.h"

namespace parity::tokenizer {

absl::StatusOr<std::unique_ptr<Tokenizer>> Tokenizer::Create(const model::GgufFile& file) {
  ASSIGN_OR_RETURN(const auto name, file.GetString("tokenizer.ggml.model"));
  if (!name.has_value()) {
    return absl::InvalidArgumentError(
        absl::StrCat(file.name(), ": key 'tokenizer.ggml.model' is missing"));
  }
  ASSIGN_OR_RETURN(const auto pre, file.GetString("tokenizer.ggml.pre"));
  if (*name == "gpt2") return CreateBpeTokenizer(file, pre.value_or(""));
  if (*name == "gemma4") return CreateBpeTokenizer(file, "gemma4");
  if (*name == "llama") return CreateSpmTokenizer(file);
  return absl::UnimplementedError(
      absl::StrCat(file.name(), ": tokenizer model '", absl::CHexEscape(name->substr(0, 64)),
                   "' (pre-tokenizer '", absl::CHexEscape(pre.value_or("").substr(0, 64)),
                   "') is not supported; supported: gpt2, llama, gemma4"));
}

size_t CompleteUtf8Prefix(absl::string_view bytes) {
  // At most the last three bytes can begin a sequence that is not finished.
  for (size_t back = 1; back <= 3 && back <= bytes.size(); ++back) {
    const uint8_t byte = static_cast<uint8_t>(bytes[bytes.size() - back]);
    if (byte < 0x80) break;
    if (byte < 0xC0) continue;
    const bool unfinished = byte >= 0xC2 && byte <= 0xF4 && SequenceBytes(byte) > back;
    return unfinished ? bytes.size() - back : bytes.size();
  }
  return bytes.size();
}

}  // namespace parity::tokenizer
