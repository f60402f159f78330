// What the tokenizers share: special tokens around the text's own tokens, and pieces put together
// again.
#ifndef PARITY_WORKER_TOKENIZER_VOCABULARY_TOKENIZER_H_
#define PARITY_WORKER_TOKENIZER_VOCABULARY_TOKENIZER_H_

#include <cstddef>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "worker/tokenizer/tokenizer.h"
#include "worker/tokenizer/vocabulary.h"

namespace parity::tokenizer {

// Threading: immutable, thread-safe. Subclassed by the BPE and the SentencePiece tokenizer.
class VocabularyTokenizer : public Tokenizer {
 public:
  absl::StatusOr<std::vector<int32_t>> Encode(absl::string_view text,
                                              const EncodeOptions& options) const final;
  absl::StatusOr<std::string> Decode(absl::Span<const int32_t> ids, bool print_special) const final;
  std::string Piece(int32_t id, bool print_special) const final;
  int32_t vocabulary() const final { return vocabulary_->size(); }
  const std::vector<int32_t>& end_of_generation_ids() const final {
    return vocabulary_->end_of_generation_ids();
  }
  bool IsEndOfGeneration(int32_t id) const final { return vocabulary_->IsEndOfGeneration(id); }

 protected:
  struct Encoding {
    std::vector<int32_t> ids;
    size_t dropped_bytes = 0;  // of the text: those that no token stands for
  };

  explicit VocabularyTokenizer(std::unique_ptr<Vocabulary> vocabulary)
      : vocabulary_(std::move(vocabulary)) {}

  const Vocabulary& table() const { return *vocabulary_; }

 private:
  // Appends the ids of a text without special tokens. `first`: at the start or behind a special
  // token.
  virtual absl::Status EncodeText(absl::string_view text, bool first, Encoding& out) const = 0;
  // Bytes that a normal token's text stands for.
  virtual std::string DecodeText(absl::string_view token) const = 0;

  std::unique_ptr<Vocabulary> vocabulary_;
};

}  // namespace parity::tokenizer

#endif  // PARITY_WORKER_TOKENIZER_VOCABULARY_TOKENIZER_H_
