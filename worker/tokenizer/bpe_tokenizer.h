// BPE: byte-level (tokenizer.ggml.model "gpt2") or over characters ("gemma4").
#ifndef PARITY_WORKER_TOKENIZER_BPE_TOKENIZER_H_
#define PARITY_WORKER_TOKENIZER_BPE_TOKENIZER_H_

#include <memory>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "worker/model/gguf_file.h"
#include "worker/tokenizer/tokenizer.h"

namespace parity::tokenizer {

// Reads vocabulary and merges. `pre_tokenizer` is tokenizer.ggml.pre, "" for none. Errors as
// Tokenizer::Create.
absl::StatusOr<std::unique_ptr<Tokenizer>> CreateBpeTokenizer(const model::GgufFile& file,
                                                              absl::string_view pre_tokenizer);

}  // namespace parity::tokenizer

#endif  // PARITY_WORKER_TOKENIZER_BPE_TOKENIZER_H_
