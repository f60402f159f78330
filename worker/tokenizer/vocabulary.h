// The token table of a GGUF file: texts, attributes, scores, special tokens, end-of-generation set,
// by libllama's rules.
#ifndef PARITY_WORKER_TOKENIZER_VOCABULARY_H_
#define PARITY_WORKER_TOKENIZER_VOCABULARY_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "worker/model/gguf_file.h"

namespace parity::tokenizer {

inline constexpr int32_t kNoToken = -1;

// Bits: a token that end-of-generation texts made special keeps its first attribute beside
// kControl.
enum Attribute : uint8_t {
  kUnknown = 1,
  kNormal = 2,
  kControl = 4,
  kUserDefined = 8,
  kUnused = 16,
  kByte = 32,               // text is "<0xXX>" (proven)
  kStripSpaceAfter = 64,    // a special that eats the whitespace behind it (phi-3)
  kStripSpaceBefore = 128,  // ... and in front of it (the mask tokens of some embedding models)
};

// What the tokenizer model gives where the file is silent.
struct VocabularyDefaults {
  int32_t bos = kNoToken;
  int32_t eos = kNoToken;
  bool add_bos = false;
  bool add_space_prefix = false;
  bool force_bos = false;  // add_bos whatever the file says
};

// A piece of text after the special tokens are cut out: either a token or bytes.
struct Fragment {
  absl::string_view text;
  int32_t token = kNoToken;  // kNoToken: text
};

// INVALID_ARGUMENT naming key and file when an array is there whose length is not `low` to 4 Mi:
// asked before it is read, so that a file's small entries do not become large objects.
absl::Status CheckEntries(const model::GgufFile& file, absl::string_view key, int64_t low);

// Threading: immutable, thread-safe.
class Vocabulary {
 public:
  // INVALID_ARGUMENT naming the key: tokens missing, listed twice or too many, types or scores
  // fewer than tokens, a byte token that is not "<0xXX>", a beginning or end to be added that the
  // vocabulary does not have.
  static absl::StatusOr<std::unique_ptr<Vocabulary>> Read(const model::GgufFile& file,
                                                          const VocabularyDefaults& defaults);

  int32_t size() const { return static_cast<int32_t>(texts_.size()); }
  // REQUIRES for all of these: 0 <= id < size().
  const std::string& text(int32_t id) const { return texts_[id]; }
  uint8_t attributes(int32_t id) const { return attributes_[id]; }
  float score(int32_t id) const { return scores_.empty() ? 0.0f : scores_[id]; }

  // kNoToken when no token has this text.
  int32_t Find(absl::string_view text) const;
  size_t longest_text_bytes() const { return longest_text_bytes_; }

  int32_t bos() const { return bos_; }
  int32_t eos() const { return eos_; }
  bool add_bos() const { return add_bos_; }
  bool add_eos() const { return add_eos_; }
  bool add_space_prefix() const { return add_space_prefix_; }
  const std::vector<int32_t>& end_of_generation_ids() const { return end_of_generation_ids_; }
  bool IsEndOfGeneration(int32_t id) const;

  // Cuts the special tokens out of `text`, longest first, those of one length in libllama's order;
  // user-defined ones always, control and unknown ones when parse_special. Fragments view `text`.
  std::vector<Fragment> CutSpecials(absl::string_view text, bool parse_special) const;

 private:
  struct Special {
    int32_t id;
    uint32_t rank;  // the lower one is cut out first
  };
  // Specials of one length, longest group first.
  struct SpecialGroup {
    size_t bytes;
    bool strips;                    // one of them eats whitespace
    std::vector<bool> first_bytes;  // [256]
    absl::flat_hash_map<absl::string_view, Special> ids;
  };
  struct Occurrence {
    size_t at;
    Special special;
  };

  Vocabulary() = default;
  absl::Status ReadTokens(const model::GgufFile& file);
  absl::Status ReadTypes(const model::GgufFile& file);
  absl::Status ReadFlags(const model::GgufFile& file, const VocabularyDefaults& defaults);
  absl::Status ReadEndOfGeneration(const model::GgufFile& file);
  absl::Status GroupSpecials(const model::GgufFile& file);
  absl::Status MarkStripping(const model::GgufFile& file);
  // Every occurrence in `text`, overlapping ones too, in order.
  std::vector<Occurrence> Find(const SpecialGroup& group, absl::string_view text,
                               bool parse_special) const;
  // Appends `text` with the occurrences cut out of it.
  void Cut(absl::string_view text, const SpecialGroup& group, std::vector<Occurrence> occurrences,
           std::vector<Fragment>& out) const;
  absl::Status IdKey(const model::GgufFile& file, absl::string_view key, int32_t& id) const;
  // First token whose text is one of `texts`, in order of id; marks it as control.
  int32_t ControlByText(absl::Span<const absl::string_view> texts);
  void DropFromEnd(absl::Span<const absl::string_view> when, absl::string_view text,
                   uint8_t attribute);

  std::vector<std::string> texts_;
  std::vector<uint8_t> attributes_;
  std::vector<float> scores_;  // empty: all 0
  absl::flat_hash_map<absl::string_view, int32_t> ids_;
  size_t longest_text_bytes_ = 0;
  int32_t bos_ = kNoToken;
  int32_t eos_ = kNoToken;
  bool add_bos_ = false;
  bool add_eos_ = false;
  bool add_space_prefix_ = false;
  std::vector<int32_t> end_of_generation_ids_;  // ascending
  std::vector<SpecialGroup> specials_;
};

}  // namespace parity::tokenizer

#endif  // PARITY_WORKER_TOKENIZER_VOCABULARY_H_
