#include "worker/tokenizer/spm_tokenizer.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <queue>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "proto/status/status_macros.h"
#include "worker/tokenizer/utf8.h"
#include "worker/tokenizer/vocabulary.h"
#include "worker/tokenizer/vocabulary_tokenizer.h"

namespace parity::tokenizer {

namespace {

// Joins neighbours whose joint text is a token, highest score first, leftmost on ties.
class Joiner {
 public:
  Joiner(const Vocabulary& vocabulary, absl::string_view text)
      : vocabulary_(vocabulary), text_(text) {
    for (size_t at = 0; at < text.size();) {
      const size_t bytes =
          std::min(SequenceBytes(static_cast<uint8_t>(text[at])), text.size() - at);
      const int32_t index = static_cast<int32_t>(symbols_.size());
      symbols_.push_back({at, bytes, index - 1, index + 1});
      at += bytes;
    }
    if (!symbols_.empty()) symbols_.back().next = -1;
  }

  // Calls `emit` with the text of each part that is left, in order, until it fails.
  template <typename Emit>
  absl::Status Run(Emit emit) {
    for (int32_t i = 1; i < static_cast<int32_t>(symbols_.size()); ++i) Offer(i - 1, i);
    while (!heap_.empty()) {
      const Candidate best = heap_.top();
      heap_.pop();
      Symbol& left = symbols_[best.left];
      Symbol& right = symbols_[best.right];
      // Deleted lazily: a side that was joined since has another size, or none.
      if (left.bytes == 0 || right.bytes == 0 || left.bytes + right.bytes != best.bytes) continue;
      left.bytes += right.bytes;
      right.bytes = 0;
      left.next = right.next;
      if (left.next >= 0) symbols_[left.next].previous = best.left;
      if (left.previous >= 0) Offer(left.previous, best.left);
      if (left.next >= 0) Offer(best.left, left.next);
    }
    for (int32_t i = symbols_.empty() ? -1 : 0; i >= 0; i = symbols_[i].next) {
      RETURN_IF_ERROR(emit(text_.substr(symbols_[i].begin, symbols_[i].bytes)));
    }
    return absl::OkStatus();
  }

 private:
  struct Symbol {
    size_t begin;
    size_t bytes;  // 0: joined into the one before
    int32_t previous;
    int32_t next;
  };
  struct Candidate {
    float score;
    int32_t left;
    int32_t right;
    size_t bytes;
    bool operator<(const Candidate& other) const {
      return score < other.score || (score == other.score && left > other.left);
    }
  };

  void Offer(int32_t left, int32_t right) {
    const size_t bytes = symbols_[left].bytes + symbols_[right].bytes;
    if (bytes > vocabulary_.longest_text_bytes()) return;
    const int32_t token = vocabulary_.Find(text_.substr(symbols_[left].begin, bytes));
    if (token == kNoToken) return;
    heap_.push({vocabulary_.score(token), left, right, bytes});
  }

  const Vocabulary& vocabulary_;
  absl::string_view text_;
  std::vector<Symbol> symbols_;
  std::priority_queue<Candidate> heap_;
};

class SpmTokenizer : public VocabularyTokenizer {
 public:
  explicit SpmTokenizer(std::unique_ptr<Vocabulary> vocabulary)
      : VocabularyTokenizer(std::move(vocabulary)) {
    for (int b = 0; b < 256; ++b) {
      byte_tokens_[b] = table().Find(absl::StrFormat("<0x%02X>", b));
      const char byte = static_cast<char>(b);
      if (byte_tokens_[b] == kNoToken) byte_tokens_[b] = table().Find({&byte, 1});
    }
  }

 private:
  absl::Status EncodeText(absl::string_view text, bool first, Encoding& out) const override {
    const bool prefix = first && table().add_space_prefix();
    const std::string marked =
        prefix ? absl::StrCat(kSpaceMark, WithSpaceMarks(text)) : WithSpaceMarks(text);
    return Joiner(table(), marked).Run([&](absl::string_view part) -> absl::Status {
      if (const int32_t token = table().Find(part); token != kNoToken) {
        out.ids.push_back(token);
        return absl::OkStatus();
      }
      for (char c : part) {
        const uint8_t byte = static_cast<uint8_t>(c);
        if (byte_tokens_[byte] == kNoToken) {
          return absl::InvalidArgumentError(
              absl::StrFormat("the vocabulary has no token for byte 0x%02X", byte));
        }
        out.ids.push_back(byte_tokens_[byte]);
      }
      return absl::OkStatus();
    });
  }

  std::string DecodeText(absl::string_view token) const override {
    return WithoutSpaceMarks(token);
  }

  std::array<int32_t, 256> byte_tokens_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Tokenizer>> CreateSpmTokenizer(const model::GgufFile& file) {
  VocabularyDefaults defaults;
  defaults.bos = 1;
  defaults.eos = 2;
  defaults.add_bos = true;
  defaults.add_space_prefix = true;
  ASSIGN_OR_RETURN(auto vocabulary, Vocabulary::Read(file, defaults));
  return std::make_unique<SpmTokenizer>(std::move(vocabulary));
}

}  // namespace parity::tokenizer
