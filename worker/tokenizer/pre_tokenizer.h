// Cuts text into the words that BPE merges within: one family for each `tokenizer.ggml.pre`.
#ifndef PARITY_WORKER_TOKENIZER_PRE_TOKENIZER_H_
#define PARITY_WORKER_TOKENIZER_PRE_TOKENIZER_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "worker/tokenizer/split_passes.h"

namespace parity::tokenizer {

// What a name stands for.
struct PreTokenizer {
  Splitter splitter = Splitter::kDefault;
  bool ignore_merges = false;    // a word that is itself a token is taken whole
  bool add_bos = false;          // unless tokenizer.ggml.add_bos_token says otherwise
  bool default_bos = true;       // else no BOS where the file names none
  bool merges_required = true;   // else a file without merges is one of single bytes
  bool characters = false;       // merges UTF-8 characters with U+2581 for a space, not bytes
  bool whole_line_ends = false;  // a run of line ends that is a token is taken whole
  bool force_bos = false;        // BOS whatever the file says
};

// "" means the key is absent. UNIMPLEMENTED: "pre-tokenizer 'x' is not one of the 93 supported".
absl::StatusOr<PreTokenizer> FindPreTokenizer(absl::string_view name);

// All names that FindPreTokenizer knows.
std::vector<std::string> PreTokenizerNames();

// Lengths, in code points, of the words of `text`, in order; they add up to text.size().
std::vector<size_t> SplitWords(Splitter splitter, absl::Span<const uint32_t> text);

}  // namespace parity::tokenizer

#endif  // PARITY_WORKER_TOKENIZER_PRE_TOKENIZER_H_
