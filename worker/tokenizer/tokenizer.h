// Text to token ids and back, as the model's own GGUF metadata define it. Ids equal libllama's.
#ifndef PARITY_WORKER_TOKENIZER_TOKENIZER_H_
#define PARITY_WORKER_TOKENIZER_TOKENIZER_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "worker/model/gguf_file.h"

namespace parity::tokenizer {

inline constexpr size_t kMaxTextBytes = 4 << 20;  // the largest message a prompt can come in

struct EncodeOptions {
  bool add_special = true;    // BOS/EOS where the model's flags say so
  bool parse_special = true;  // recognise control tokens written out in the text
  // Set by a successful Encode, unless null: how many bytes of the text no token stands for. A
  // byte-level vocabulary may lack some; they are left out of the ids, as libllama does.
  size_t* dropped_bytes = nullptr;
};

// Threading: immutable, thread-safe.
class Tokenizer {
 public:
  // Errors: UNIMPLEMENTED naming tokenizer.ggml.model and .pre when this build lacks them;
  // INVALID_ARGUMENT naming the key. A vocabulary-only file is enough.
  static absl::StatusOr<std::unique_ptr<Tokenizer>> Create(const model::GgufFile& file);
  virtual ~Tokenizer() = default;

  // Ids of `text`, as libllama's: BPE sees each invalid UTF-8 byte as U+FFFD (what decodes to more
  // than U+10FFFF too, where libllama throws), SentencePiece sees the byte itself. INVALID_ARGUMENT
  // when over kMaxTextBytes, or when a SentencePiece vocabulary has no token for a byte (libllama
  // throws).
  virtual absl::StatusOr<std::vector<int32_t>> Encode(absl::string_view text,
                                                      const EncodeOptions& options) const = 0;

  // Bytes of the ids, exactly: Decode(Encode(text)) is text wherever that is valid UTF-8 whose
  // bytes all have tokens; where spaces are written as U+2581 (SentencePiece, gemma4) a U+2581
  // comes back as a space, and specials that eat whitespace (phi-3) keep it. A space that Encode
  // put in front (SentencePiece: at the start and behind a special token) is taken off. Control
  // tokens print nothing unless print_special. INVALID_ARGUMENT naming index and id when one is
  // outside the vocabulary.
  virtual absl::StatusOr<std::string> Decode(absl::Span<const int32_t> ids,
                                             bool print_special) const = 0;

  // Bytes one token adds to the text (possibly part of a UTF-8 sequence). REQUIRES: 0 <= id <
  // vocabulary().
  virtual std::string Piece(int32_t id, bool print_special) const = 0;

  virtual int32_t vocabulary() const = 0;
  // Ids that end a generation: eos and the well-known end texts (<|im_end|>, <|endoftext|>,
  // <|eot_id|>, <end_of_turn> ...).
  virtual const std::vector<int32_t>& end_of_generation_ids() const = 0;
  virtual bool IsEndOfGeneration(int32_t id) const = 0;
};

// Longest prefix of `bytes` that ends on a UTF-8 sequence border: bytes of an unfinished tail are
// held back, invalid bytes are not.
size_t CompleteUtf8Prefix(absl::string_view bytes);

}  // namespace parity::tokenizer

#endif  // PARITY_WORKER_TOKENIZER_TOKENIZER_H_
