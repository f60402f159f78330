// libllama's tokenizer, for tests to compare with.
#ifndef PARITY_WORKER_TOKENIZER_LLAMA_ORACLE_H_
#define PARITY_WORKER_TOKENIZER_LLAMA_ORACLE_H_

#include <llama.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "worker/tokenizer/tokenizer.h"

namespace parity::tokenizer {

// ${XDG_CACHE_HOME:-$HOME/.cache}/parity/, where deploy/fetch puts models.
std::string ParityCache();

// Threading: one thread.
class LlamaOracle {
 public:
  // Loads the vocabulary of a GGUF file. Null when libllama cannot.
  static std::unique_ptr<LlamaOracle> Load(const std::string& path);

  // Nothing when libllama throws.
  std::optional<std::vector<int32_t>> Ids(absl::string_view text,
                                          const EncodeOptions& options) const;
  std::string Piece(int32_t id, bool print_special) const;
  bool IsEndOfGeneration(int32_t id) const { return llama_vocab_is_eog(vocab_, id); }
  int32_t vocabulary() const { return llama_vocab_n_tokens(vocab_); }

 private:
  struct ModelDeleter {
    void operator()(llama_model* model) const { llama_model_free(model); }
  };

  LlamaOracle() = default;

  std::unique_ptr<llama_model, ModelDeleter> model_;
  const llama_vocab* vocab_ = nullptr;
};

// Whether `text` holds a four-byte sequence that decodes to more than U+10FFFF: the one thing in a
// text that libllama's BPE throws at.
bool HasCodePointTooHigh(absl::string_view text);

}  // namespace parity::tokenizer

#endif  // PARITY_WORKER_TOKENIZER_LLAMA_ORACLE_H_
