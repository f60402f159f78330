// Cuts text into the words that byte-level BPE merges within: one splitter per
// `tokenizer.ggml.pre`.
#ifndef PARITY_WORKER_TOKENIZER_PRE_TOKENIZER_H_
#define PARITY_WORKER_TOKENIZER_PRE_TOKENIZER_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace parity::tokenizer {

// The families of expressions behind the names; the expressions stand in the .cc beside their
// splitter.
enum class Splitter : uint8_t { kDefault, kGpt2, kSmollm, kFalcon, kLlama3, kQwen2, kQwen35 };

struct PreTokenizer {
  Splitter splitter;
  bool ignore_merges = false;  // a word that is itself a token is taken whole
  bool add_bos = false;        // unless tokenizer.ggml.add_bos_token says otherwise
};

// "" means the key is absent. UNIMPLEMENTED: "pre-tokenizer 'tekken' is not supported; supported:
// ...".
absl::StatusOr<PreTokenizer> FindPreTokenizer(absl::string_view name);

// Lengths, in code points, of the words of `text`, in order; they add up to text.size().
std::vector<size_t> SplitWords(Splitter splitter, absl::Span<const uint32_t> text);

}  // namespace parity::tokenizer

#endif  // PARITY_WORKER_TOKENIZER_PRE_TOKENIZER_H_
