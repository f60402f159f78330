// SentencePiece-style tokens with scores (tokenizer.ggml.model "llama").
#ifndef PARITY_WORKER_TOKENIZER_SPM_TOKENIZER_H_
#define PARITY_WORKER_TOKENIZER_SPM_TOKENIZER_H_

#include <memory>

#include "absl/status/statusor.h"
#include "worker/model/gguf_file.h"
#include "worker/tokenizer/tokenizer.h"

namespace parity::tokenizer {

// Reads vocabulary and scores. tokenizer.ggml.add_space_prefix (default true) puts a space in front
// of a text at the start and behind a special token; remove_extra_whitespaces is not applied, as in
// libllama. Errors as Tokenizer::Create.
absl::StatusOr<std::unique_ptr<Tokenizer>> CreateSpmTokenizer(const model::GgufFile& file);

}  // namespace parity::tokenizer

#endif  // PARITY_WORKER_TOKENIZER_SPM_TOKENIZER_H_
