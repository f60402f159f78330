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
#include "proto/status/annotate.h"
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

// A character that no merge and no token begins with.
constexpr int32_t kUnknownPart = -2;

struct Merge {
  int32_t rank;
  int32_t part;  // what the pair becomes
};

// All parts and merges of a vocabulary, and where a word starts from: single bytes in GPT-2's
// writing, or single characters.
class MergeTable {
 public:
  MergeTable(const Vocabulary& vocabulary, const std::vector<std::string>& merges,
             bool characters) {
    // Nearly every merge makes one new part.
    parts_.reserve(merges.size() + 512);
    interned_.reserve(merges.size() + 512);
    merges_.reserve(merges.size());
    const std::array<uint32_t, 256> map = ByteCodePoints();
    for (int b = 0; b < 256; ++b) {
      std::string text;
      AppendUtf8(text, map[b]);
      byte_parts_[b] = Intern(std::move(text), vocabulary);
    }
    for (size_t rank = 0; rank < merges.size(); ++rank) {
      const std::string& line = merges[rank];
      const size_t space = line.find(' ', 1);
      if (space == std::string::npos) continue;  // joins nothing, in libllama too
      const int32_t left = Intern(line.substr(0, space), vocabulary);
      const int32_t right = Intern(line.substr(space + 1), vocabulary);
      const int32_t joined = Intern(parts_[left].text + parts_[right].text, vocabulary);
      merges_.emplace(Key(left, right), Merge{static_cast<int32_t>(rank), joined});
    }
    if (characters) FindCharacters(vocabulary);
    interned_ = {};
  }

  int32_t byte_part(uint8_t byte) const { return byte_parts_[byte]; }
  int32_t character_part(absl::string_view character) const {
    const auto found = characters_.find(character);
    return found == characters_.end() ? kUnknownPart : found->second;
  }
  int32_t token(int32_t part) const { return part < 0 ? kNoToken : parts_[part].token; }
  // REQUIRES: part >= 0.
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

  void FindCharacters(const Vocabulary& vocabulary) {
    const auto single = [](absl::string_view text) {
      return SequenceBytes(static_cast<uint8_t>(text[0])) == text.size();
    };
    for (int32_t id = 0; id < vocabulary.size(); ++id) {
      if (single(vocabulary.text(id))) Intern(vocabulary.text(id), vocabulary);
    }
    for (size_t i = 0; i < parts_.size(); ++i) {
      const std::string& text = parts_[i].text;
      if (!text.empty() && single(text)) characters_.emplace(text, static_cast<int32_t>(i));
    }
  }

  std::vector<Part> parts_;
  std::array<int32_t, 256> byte_parts_;
  absl::flat_hash_map<std::string, int32_t> characters_;
  absl::flat_hash_map<uint64_t, Merge> merges_;
  absl::flat_hash_map<std::string, int32_t> interned_;  // while building
};

// Merges the parts of one word, lowest rank first, leftmost on ties. Reused from word to word.
class WordMerger {
 public:
  explicit WordMerger(const MergeTable& table) : table_(table) {}

  struct Symbol {
    int32_t part;
    int32_t previous;
    int32_t next;
  };

  void Clear() { symbols_.clear(); }
  void Add(int32_t part) {
    const int32_t at = static_cast<int32_t>(symbols_.size());
    if (at > 0) symbols_.back().next = at;
    symbols_.push_back({part, at - 1, -1});
  }

  // Merges the parts that were added. What is left: from the first symbol on along `next`; symbol i
  // begins with the i-th part that was added.
  const std::vector<Symbol>& Run() {
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
    return symbols_;
  }

 private:
  static constexpr int32_t kGone = -1;

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
};

class BpeTokenizer : public VocabularyTokenizer {
 public:
  BpeTokenizer(std::unique_ptr<Vocabulary> vocabulary, const std::vector<std::string>& merges,
               PreTokenizer pre)
      : VocabularyTokenizer(std::move(vocabulary)),
        merges_(table(), merges, pre.characters),
        pre_(pre) {
    const std::array<uint32_t, 256> map = ByteCodePoints();
    for (int b = 0; b < 256; ++b) {
      bytes_.emplace(map[b], static_cast<char>(b));
      const char byte = static_cast<char>(b);
      fallback_[b] = pre.characters ? table().Find(absl::StrFormat("<0x%02X>", b))
                                    : table().Find(absl::string_view(&byte, 1));
    }
  }

 private:
  absl::Status EncodeText(absl::string_view text, bool, Encoding& out) const override {
    const std::vector<uint32_t> code_points =
        CodePoints(pre_.characters ? WithSpaceMarks(text) : std::string(text));
    WordMerger merger(merges_);
    std::string word;
    size_t at = 0;
    for (const size_t length : SplitWords(pre_.splitter, code_points)) {
      word.clear();
      for (const size_t end = at + length; at < end; ++at) AppendUtf8(word, code_points[at]);
      if (pre_.characters) {
        EncodeCharacters(word, merger, out);
      } else {
        EncodeBytes(word, merger, out);
      }
    }
    return absl::OkStatus();
  }

  // Words are merged in GPT-2's writing: one part for each byte.
  void EncodeBytes(const std::string& word, WordMerger& merger, Encoding& out) const {
    if (pre_.ignore_merges && word.size() <= table().longest_text_bytes()) {
      std::string encoded;
      for (char c : word) encoded += merges_.text(merges_.byte_part(static_cast<uint8_t>(c)));
      if (EncodeWhole(encoded, out)) return;
    }
    merger.Clear();
    for (char c : word) merger.Add(merges_.byte_part(static_cast<uint8_t>(c)));
    const auto& symbols = merger.Run();
    for (int32_t i = 0; i >= 0; i = symbols[i].next) {
      const int32_t part = symbols[i].part;
      if (const int32_t token = merges_.token(part); token != kNoToken) {
        out.ids.push_back(token);
        continue;
      }
      // A merge can make what is no token, and a vocabulary can lack bytes. libllama then looks up
      // the bytes of GPT-2's writing, not those of the text: what is not ASCII there is lost.
      for (absl::string_view rest = merges_.text(part); !rest.empty();) {
        const size_t bytes = std::min(SequenceBytes(static_cast<uint8_t>(rest[0])), rest.size());
        out.dropped_bytes += EncodeFallback(rest.substr(0, bytes), out) ? 0 : 1;
        rest.remove_prefix(bytes);
      }
    }
  }

  // As SentencePiece does: one part for each character, with "<0xXX>" tokens for what is none.
  void EncodeCharacters(const std::string& word, WordMerger& merger, Encoding& out) const {
    const bool line_ends = word.find_first_not_of('\n') == std::string::npos;
    if (pre_.whole_line_ends && line_ends && EncodeWhole(word, out)) return;
    merger.Clear();
    std::vector<size_t> begins;
    for (size_t at = 0; at < word.size();) {
      const size_t bytes = SequenceBytes(static_cast<uint8_t>(word[at]));
      begins.push_back(at);
      merger.Add(merges_.character_part(absl::string_view(word).substr(at, bytes)));
      at += bytes;
    }
    const auto& symbols = merger.Run();
    for (int32_t i = 0; i >= 0; i = symbols[i].next) {
      if (const int32_t token = merges_.token(symbols[i].part); token != kNoToken) {
        out.ids.push_back(token);
        continue;
      }
      const size_t end = symbols[i].next < 0 ? word.size() : begins[symbols[i].next];
      for (char c : absl::string_view(word).substr(begins[i], end - begins[i])) {
        out.dropped_bytes += EncodeFallback({&c, 1}, out) ? 0 : 1;
      }
    }
  }

  bool EncodeWhole(absl::string_view text, Encoding& out) const {
    const int32_t token = table().Find(text);
    if (token != kNoToken) out.ids.push_back(token);
    return token != kNoToken;
  }

  // Appends the tokens of single bytes where there are any. Returns whether there was one.
  bool EncodeFallback(absl::string_view bytes, Encoding& out) const {
    bool any = false;
    for (char c : bytes) {
      const int32_t token = fallback_[static_cast<uint8_t>(c)];
      if (token == kNoToken) continue;
      out.ids.push_back(token);
      any = true;
    }
    return any;
  }

  std::string DecodeText(absl::string_view token) const override {
    if (pre_.characters) return WithoutSpaceMarks(token);
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
  std::array<int32_t, 256> fallback_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Tokenizer>> CreateBpeTokenizer(const model::GgufFile& file,
                                                              absl::string_view pre_tokenizer) {
  constexpr absl::string_view kMerges = "tokenizer.ggml.merges";
  const auto pre = FindPreTokenizer(pre_tokenizer);
  if (!pre.ok()) return Annotate(pre.status(), file.name());
  VocabularyDefaults defaults;
  // libllama's, where the file names none.
  defaults.bos = pre->default_bos ? 11 : kNoToken;
  defaults.eos = 11;
  defaults.add_bos = pre->add_bos;
  defaults.force_bos = pre->force_bos;
  ASSIGN_OR_RETURN(auto vocabulary, Vocabulary::Read(file, defaults));
  RETURN_IF_ERROR(CheckEntries(file, kMerges, 0));
  ASSIGN_OR_RETURN(const auto merges, file.GetStringArray(kMerges));
  if (!merges.has_value() && pre->merges_required) {
    return absl::InvalidArgumentError(
        absl::StrCat(file.name(), ": key '", kMerges, "' is missing"));
  }
  return std::make_unique<BpeTokenizer>(std::move(vocabulary),
                                        merges.value_or(std::vector<std::string>()), *pre);
}

}  // namespace parity::tokenizer
