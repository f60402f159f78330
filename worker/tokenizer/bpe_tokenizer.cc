#include "worker/tokenizer/bpe_tokenizer.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <queue>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "proto/status/status_macros.h"
#include "worker/tokenizer/pre_tokenizer.h"
#include "worker/tokenizer/utf8.h"
#include "worker/tokenizer/vocabulary.h"
#include "worker/tokenizer/vocabulary_tokenizer.h"

namespace parity::tokenizer {

namespace {

// GPT-2's map of bytes to printable code points.
std::array<uint32_t, 256> ByteCodePoints() {
  std::array<uint32_t, 256> map;
  uint32_t next = 256;
  for (uint32_t b = 0; b < 256; ++b) {
    const bool printable =
        (b >= 0x21 && b <= 0x7E) || (b >= 0xA1 && b <= 0xAC) || (b >= 0xAE && b <= 0xFF);
    map[b] = printable ? b : next++;
  }
  return map;
}

// A string that merging can make: its number is its identity, so a merge compares two numbers.
struct Part {
  std::string text;
  int32_t token;
};

struct Merge {
  int32_t rank;
  int32_t part;  // what the pair becomes
};

// All parts and merges of a vocabulary.
class MergeTable {
 public:
  MergeTable(const Vocabulary& vocabulary, const std::vector<std::string>& merges) {
    const std::array<uint32_t, 256> map = ByteCodePoints();
    for (int b = 0; b < 256; ++b) {
      std::string text;
      AppendUtf8(text, map[b]);
      byte_parts_[b] = Intern(std::move(text), vocabulary);
    }
    // Nearly every merge makes one new part.
    parts_.reserve(merges.size() + 512);
    interned_.reserve(merges.size() + 512);
    merges_.reserve(merges.size());
    for (size_t rank = 0; rank < merges.size(); ++rank) {
      const std::string& line = merges[rank];
      const size_t space = line.find(' ', 1);
      if (space == std::string::npos) continue;  // joins nothing, in libllama too
      const int32_t left = Intern(line.substr(0, space), vocabulary);
      const int32_t right = Intern(line.substr(space + 1), vocabulary);
      const int32_t joined = Intern(parts_[left].text + parts_[right].text, vocabulary);
      merges_.emplace(Key(left, right), Merge{static_cast<int32_t>(rank), joined});
    }
    interned_ = {};
  }

  int32_t byte_part(uint8_t byte) const { return byte_parts_[byte]; }
  int32_t token(int32_t part) const { return parts_[part].token; }
  const std::string& text(int32_t part) const { return parts_[part].text; }

  const Merge* Find(int32_t left, int32_t right) const {
    const auto found = merges_.find(Key(left, right));
    return found == merges_.end() ? nullptr : &found->second;
  }

 private:
  static uint64_t Key(int32_t left, int32_t right) {
    return static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 | static_cast<uint32_t>(right);
  }

  int32_t Intern(std::string text, const Vocabulary& vocabulary) {
    const auto [at, fresh] = interned_.emplace(text, static_cast<int32_t>(parts_.size()));
    if (fresh) {
      const int32_t token = vocabulary.Find(text);
      parts_.push_back({std::move(text), token});
    }
    return at->second;
  }

  std::vector<Part> parts_;
  std::array<int32_t, 256> byte_parts_;
  absl::flat_hash_map<uint64_t, Merge> merges_;
  absl::flat_hash_map<std::string, int32_t> interned_;  // while building
};

// Merges the parts of one word, lowest rank first, leftmost on ties. Reused from word to word.
class WordMerger {
 public:
  explicit WordMerger(const MergeTable& table) : table_(table) {}

  // The parts of `bytes` after all merges; valid until the next call.
  const std::vector<int32_t>& Run(absl::string_view bytes) {
    symbols_.clear();
    for (size_t i = 0; i < bytes.size(); ++i) {
      const int32_t at = static_cast<int32_t>(i);
      symbols_.push_back({table_.byte_part(static_cast<uint8_t>(bytes[i])), at - 1,
                          i + 1 < bytes.size() ? at + 1 : -1});
    }
    for (int32_t i = 0; i + 1 < static_cast<int32_t>(symbols_.size()); ++i) Offer(i, i + 1);
    while (!heap_.empty()) {
      const Candidate best = heap_.top();
      heap_.pop();
      Symbol& left = symbols_[best.left];
      // Deleted lazily: a candidate counts only while both sides are what they were.
      if (left.part != best.left_part || left.next != best.right ||
          symbols_[best.right].part != best.right_part) {
        continue;
      }
      left.part = best.joined;
      symbols_[best.right].part = kGone;
      left.next = symbols_[best.right].next;
      if (left.next >= 0) symbols_[left.next].previous = best.left;
      if (left.previous >= 0) Offer(left.previous, best.left);
      if (left.next >= 0) Offer(best.left, left.next);
    }
    result_.clear();
    for (int32_t i = symbols_.empty() ? -1 : 0; i >= 0; i = symbols_[i].next) {
      result_.push_back(symbols_[i].part);
    }
    return result_;
  }

 private:
  static constexpr int32_t kGone = -1;

  struct Symbol {
    int32_t part;
    int32_t previous;
    int32_t next;
  };
  struct Candidate {
    int32_t rank;
    int32_t left;
    int32_t right;
    int32_t left_part;
    int32_t right_part;
    int32_t joined;
    bool operator>(const Candidate& other) const {
      return std::tie(rank, left) > std::tie(other.rank, other.left);
    }
  };

  void Offer(int32_t left, int32_t right) {
    const int32_t l = symbols_[left].part;
    const int32_t r = symbols_[right].part;
    if (const Merge* merge = table_.Find(l, r)) {
      heap_.push({merge->rank, left, right, l, r, merge->part});
    }
  }

  const MergeTable& table_;
  std::vector<Symbol> symbols_;
  std::priority_queue<Candidate, std::vector<Candidate>, std::greater<Candidate>> heap_;
  std::vector<int32_t> result_;
};

class BpeTokenizer : public VocabularyTokenizer {
 public:
  BpeTokenizer(std::unique_ptr<Vocabulary> vocabulary, const std::vector<std::string>& merges,
               PreTokenizer pre)
      : VocabularyTokenizer(std::move(vocabulary)), merges_(table(), merges), pre_(pre) {
    const std::array<uint32_t, 256> map = ByteCodePoints();
    for (int b = 0; b < 256; ++b) bytes_.emplace(map[b], static_cast<char>(b));
  }

 private:
  absl::Status EncodeText(absl::string_view text, bool, std::vector<int32_t>& ids) const override {
    const std::vector<uint32_t> code_points = CodePoints(text);
    WordMerger merger(merges_);
    std::string word;
    size_t at = 0;
    for (const size_t length : SplitWords(pre_.splitter, code_points)) {
      word.clear();
      for (const size_t end = at + length; at < end; ++at) AppendUtf8(word, code_points[at]);
      RETURN_IF_ERROR(EncodeWord(word, merger, ids));
    }
    return absl::OkStatus();
  }

  absl::Status EncodeWord(const std::string& word, WordMerger& merger,
                          std::vector<int32_t>& ids) const {
    if (pre_.ignore_merges) {
      std::string encoded;
      for (char c : word) encoded += merges_.text(merges_.byte_part(static_cast<uint8_t>(c)));
      if (const int32_t token = table().Find(encoded); token != kNoToken) {
        ids.push_back(token);
        return absl::OkStatus();
      }
    }
    for (const int32_t part : merger.Run(word)) {
      if (const int32_t token = merges_.token(part); token != kNoToken) {
        ids.push_back(token);
      } else {
        RETURN_IF_ERROR(EncodeBytes(DecodeText(merges_.text(part)), ids));
      }
    }
    return absl::OkStatus();
  }

  // A merge can make what is no token; its bytes may be tokens.
  absl::Status EncodeBytes(const std::string& bytes, std::vector<int32_t>& ids) const {
    for (char c : bytes) {
      const uint8_t byte = static_cast<uint8_t>(c);
      const int32_t token = merges_.token(merges_.byte_part(byte));
      if (token == kNoToken) {
        return absl::InvalidArgumentError(
            absl::StrFormat("the vocabulary has no token for byte 0x%02X", byte));
      }
      ids.push_back(token);
    }
    return absl::OkStatus();
  }

  std::string DecodeText(absl::string_view token) const override {
    std::string out;
    for (const uint32_t code_point : CodePoints(token)) {
      const auto found = bytes_.find(code_point);
      if (found != bytes_.end()) {
        out.push_back(found->second);
      } else {
        AppendUtf8(out, code_point);  // a token that byte-level BPE cannot have made: as it is
      }
    }
    return out;
  }

  MergeTable merges_;
  PreTokenizer pre_;
  absl::flat_hash_map<uint32_t, char> bytes_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Tokenizer>> CreateBpeTokenizer(const model::GgufFile& file) {
  constexpr absl::string_view kMerges = "tokenizer.ggml.merges";
  ASSIGN_OR_RETURN(const auto name, file.GetString("tokenizer.ggml.pre"));
  const auto pre = FindPreTokenizer(name.value_or(""));
  if (!pre.ok()) {
    return absl::Status(pre.status().code(),
                        absl::StrCat(file.name(), ": ", pre.status().message()));
  }
  VocabularyDefaults defaults;
  defaults.bos = defaults.eos = 11;  // libllama's, where the file names none
  defaults.add_bos = pre->add_bos;
  ASSIGN_OR_RETURN(auto vocabulary, Vocabulary::Read(file, defaults));
  ASSIGN_OR_RETURN(const auto merges, file.GetStringArray(kMerges));
  if (!merges.has_value()) {
    return absl::InvalidArgumentError(
        absl::StrCat(file.name(), ": key '", kMerges, "' is missing"));
  }
  return std::make_unique<BpeTokenizer>(std::move(vocabulary), *merges, *pre);
}

}  // namespace parity::tokenizer
