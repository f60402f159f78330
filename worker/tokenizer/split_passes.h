// The splitting passes of each family of pre-tokenizers, as libllama computes them: its own
// splitters where it has one for an expression, else std::regex on text whose non-ASCII characters
// were replaced by one byte for each category.
#ifndef PARITY_WORKER_TOKENIZER_SPLIT_PASSES_H_
#define PARITY_WORKER_TOKENIZER_SPLIT_PASSES_H_

#include <cstdint>

#include "absl/types/span.h"
#include "worker/tokenizer/segment.h"

namespace parity::tokenizer {

// One for each list of expressions in libllama; the expressions stand in the .cc beside the passes.
enum class Splitter : uint8_t {
  kDefault,
  kGpt2,
  kSmollm,
  kFalcon,
  kLlama3,
  kQwen2,
  kQwen35,
  kJais2,
  kDeepseekLlm,
  kDeepseekCoder,
  kDeepseek3,
  kSpark25,
  kYoutu,
  kPoro,
  kViking,
  kTekken,
  kGpt4o,
  kGraniteMultilingual,
  kTinyAya,
  kChameleon,
  kKimiK2,
  kSuperBpe,
  kSeedCoder,
  kUfakzeka,
  kAfmoe,
  kLaguna,
  kExaoneMoe,
  kLines,
  kMiniCpm5,
};

// Appends the lengths, in code points, of the pieces of a segment; they add up to its size.
using Pass = void (*)(const Segment&, Lengths&);

// Each pass works on the pieces that the one before left. Every pass is linear in its segment.
absl::Span<const Pass> Passes(Splitter splitter);

}  // namespace parity::tokenizer

#endif  // PARITY_WORKER_TOKENIZER_SPLIT_PASSES_H_
