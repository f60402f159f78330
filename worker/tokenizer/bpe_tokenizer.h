// Byte-level BPE (tokenizer.ggml.model "gpt2").
#ifndef PARITY_WORKER_TOKENIZER_BPE_TOKENIZER_H_
#define PARITY_WORKER_TOKENIZER_BPE_TOKENIZER_H_

#include <memory>

#include "absl/status/statusor.h"
#include "worker/model/gguf_file.h"
#include "worker/tokenizer/tokenizer.h"

namespace parity::tokenizer {

// Reads vocabulary, merges and pre-tokenizer. Errors as Tokenizer::Create.
absl::StatusOr<std::unique_ptr<Tokenizer>> CreateBpeTokenizer(const model::GgufFile& file);

}  // namespace parity::tokenizer

#endif  // PARITY_WORKER_TOKENIZER_BPE_TOKENIZER_H_
