#include "worker/tokenizer/vocabulary.h"

#include <algorithm>
#include <cctype>
#include <initializer_list>
#include <tuple>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "proto/status/status_macros.h"

namespace parity::tokenizer {

namespace {

constexpr int64_t kMaxTokens = 4 << 20;
// Longest special token that is looked for in texts: bounds the work a hostile file can ask for.
constexpr size_t kMaxSpecialBytes = 1024;

// Texts that make a token end a generation, and a control token, whatever its type says.
constexpr absl::string_view kEndTexts[] = {"<|eot_id|>",
                                           "<|im_end|>",
                                           "<|end|>",
                                           "<|return|>",
                                           "<|call|>",
                                           "<|flush|>",
                                           "<|calls|>",
                                           "<end_of_turn>",
                                           "<|endoftext|>",
                                           "</s>",
                                           "<|eom_id|>",
                                           "<EOT>",
                                           "_<EOT>",
                                           "[EOT]",
                                           "[EOS]",
                                           "<|end_of_text|>",
                                           "<end_of_utterance>",
                                           "<eos>",
                                           "<turn|>",
                                           "<|tool_response>",
                                           "<｜end▁of▁sentence｜>",
                                           "[e~["};

// Fill-in-the-middle texts; those that end a generation, and those that only become control tokens.
constexpr absl::string_view kFimPad[] = {"<|fim_pad|>", "<fim-pad>", "<fim_pad>", "<PAD>", "[PAD]"};
constexpr absl::string_view kFimRepository[] = {"<|fim_repo|>", "<|repo_name|>", "<fim-repo>",
                                                "<REPO>", "<reponame>"};
constexpr absl::string_view kFimSeparator[] = {"<|file_sep|>"};
constexpr absl::string_view kFimPrefix[] = {"<|fim_prefix|>",  "<fim-prefix>", "<fim_prefix>",
                                            "<｜fim▁begin｜>", "<PRE>",        "▁<PRE>",
                                            "<|code_prefix|>", "<|prefix|>"};
constexpr absl::string_view kFimSuffix[] = {"<|fim_suffix|>",  "<fim-suffix>", "<fim_suffix>",
                                            "<｜fim▁hole｜>",  "<SUF>",        "▁<SUF>",
                                            "<|code_suffix|>", "<|suffix|>"};
constexpr absl::string_view kFimMiddle[] = {"<|fim_middle|>",  "<fim-middle>", "<fim_middle>",
                                            "<｜fim▁end｜>",   "<MID>",        "▁<MID>",
                                            "<|code_middle|>", "<|middle|>"};

// Always printed: marks of gpt-oss's channels.
constexpr absl::string_view kChannelTexts[] = {"<|channel|>", "<|message|>", "<|start|>",
                                               "<|constrain|>"};

absl::Status Invalid(const model::GgufFile& file, absl::string_view key, absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat(file.name(), ": key '", key, "' ", what));
}

bool IsByteText(absl::string_view text) {
  return text.size() == 6 && text.substr(0, 3) == "<0x" && text[5] == '>' &&
         absl::ascii_isxdigit(static_cast<unsigned char>(text[3])) &&
         absl::ascii_isxdigit(static_cast<unsigned char>(text[4]));
}

// Values of tokenizer.ggml.token_type.
uint8_t AttributeOf(int64_t type) {
  switch (type) {
    case 1:
      return kNormal;
    case 2:
      return kUnknown;
    case 3:
      return kControl;
    case 4:
      return kUserDefined;
    case 5:
      return kUnused;
    case 6:
      return kByte;
    default:
      return 0;
  }
}

}  // namespace

int32_t Vocabulary::Find(absl::string_view text) const {
  const auto found = ids_.find(text);
  return found == ids_.end() ? kNoToken : found->second;
}

bool Vocabulary::IsEndOfGeneration(int32_t id) const {
  return std::binary_search(end_of_generation_ids_.begin(), end_of_generation_ids_.end(), id);
}

absl::Status CheckEntries(const model::GgufFile& file, absl::string_view key, int64_t low) {
  ASSIGN_OR_RETURN(const std::optional<int64_t> size, file.GetArraySize(key));
  if (!size.has_value() || (*size >= low && *size <= kMaxTokens)) return absl::OkStatus();
  return Invalid(file, key,
                 absl::StrCat("has ", *size, " entries, ", low, " to ", kMaxTokens, " expected"));
}

absl::StatusOr<std::unique_ptr<Vocabulary>> Vocabulary::Read(const model::GgufFile& file,
                                                             const VocabularyDefaults& defaults) {
  std::unique_ptr<Vocabulary> v(new Vocabulary());
  RETURN_IF_ERROR(v->ReadTokens(file));
  RETURN_IF_ERROR(v->ReadTypes(file));
  RETURN_IF_ERROR(v->ReadFlags(file, defaults));
  RETURN_IF_ERROR(v->ReadEndOfGeneration(file));
  RETURN_IF_ERROR(v->MarkStripping(file));
  RETURN_IF_ERROR(v->GroupSpecials(file));
  return v;
}

absl::Status Vocabulary::ReadTokens(const model::GgufFile& file) {
  constexpr absl::string_view kKey = "tokenizer.ggml.tokens";
  RETURN_IF_ERROR(CheckEntries(file, kKey, 1));
  ASSIGN_OR_RETURN(auto texts, file.GetStringArray(kKey));
  if (!texts.has_value()) return Invalid(file, kKey, "is missing");
  texts_ = *std::move(texts);
  ids_.reserve(texts_.size());
  for (size_t id = 0; id < texts_.size(); ++id) {
    if (texts_[id].empty()) texts_[id] = absl::StrCat("[EMPTY_", id, "]");
    longest_text_bytes_ = std::max(longest_text_bytes_, texts_[id].size());
    const auto [at, fresh] = ids_.emplace(texts_[id], static_cast<int32_t>(id));
    if (!fresh) {
      return Invalid(file, kKey, absl::StrCat("has the same text at ", at->second, " and at ", id));
    }
  }
  return absl::OkStatus();
}

absl::Status Vocabulary::ReadTypes(const model::GgufFile& file) {
  constexpr absl::string_view kTypes = "tokenizer.ggml.token_type";
  constexpr absl::string_view kScores = "tokenizer.ggml.scores";
  const int64_t tokens = static_cast<int64_t>(texts_.size());
  attributes_.assign(texts_.size(), kNormal);
  RETURN_IF_ERROR(CheckEntries(file, kTypes, tokens));
  ASSIGN_OR_RETURN(const auto types, file.GetIntArray(kTypes));
  for (size_t id = 0; types.has_value() && id < texts_.size(); ++id) {
    attributes_[id] = AttributeOf((*types)[id]);
    if (attributes_[id] == kByte && !IsByteText(texts_[id])) {
      return Invalid(file, kTypes,
                     absl::StrCat("says that token ", id,
                                  " is a byte, but its text is not of the form <0xXX>"));
    }
  }
  RETURN_IF_ERROR(CheckEntries(file, kScores, tokens));
  ASSIGN_OR_RETURN(auto scores, file.GetFloatArray(kScores));
  if (!scores.has_value()) return absl::OkStatus();
  for (size_t id = 0; id < scores->size(); ++id) {
    if ((*scores)[id] != (*scores)[id]) {
      return Invalid(file, kScores, absl::StrCat("is NaN at ", id));
    }
  }
  scores_ = *std::move(scores);
  return absl::OkStatus();
}

// As libllama: an id outside the vocabulary (some files write -1 for "none") leaves the default
// standing.
absl::Status Vocabulary::IdKey(const model::GgufFile& file, absl::string_view key,
                               int32_t& id) const {
  if (id >= size()) id = kNoToken;
  ASSIGN_OR_RETURN(const auto value, file.GetInt(absl::StrCat("tokenizer.ggml.", key)));
  if (value.has_value() && *value >= 0 && *value < size()) id = static_cast<int32_t>(*value);
  return absl::OkStatus();
}

absl::Status Vocabulary::ReadFlags(const model::GgufFile& file,
                                   const VocabularyDefaults& defaults) {
  bos_ = defaults.bos;
  eos_ = defaults.eos;
  RETURN_IF_ERROR(IdKey(file, "bos_token_id", bos_));
  RETURN_IF_ERROR(IdKey(file, "eos_token_id", eos_));
  ASSIGN_OR_RETURN(const auto add_bos, file.GetBool("tokenizer.ggml.add_bos_token"));
  ASSIGN_OR_RETURN(const auto add_eos, file.GetBool("tokenizer.ggml.add_eos_token"));
  ASSIGN_OR_RETURN(const auto prefix, file.GetBool("tokenizer.ggml.add_space_prefix"));
  add_bos_ = defaults.force_bos || add_bos.value_or(defaults.add_bos);
  add_eos_ = add_eos.value_or(false);
  add_space_prefix_ = prefix.value_or(defaults.add_space_prefix);
  if (add_bos_ && bos_ == kNoToken) {
    return Invalid(file, "tokenizer.ggml.bos_token_id",
                   "names no token of the vocabulary, but texts shall begin with it");
  }
  if (add_eos_ && eos_ == kNoToken) {
    return Invalid(file, "tokenizer.ggml.eos_token_id",
                   "names no token of the vocabulary, but texts shall end with it");
  }
  return absl::OkStatus();
}

int32_t Vocabulary::ControlByText(absl::Span<const absl::string_view> texts) {
  int32_t first = kNoToken;
  for (absl::string_view text : texts) {
    const int32_t id = Find(text);
    if (id != kNoToken && (first == kNoToken || id < first)) first = id;
  }
  if (first != kNoToken) attributes_[first] |= kControl;
  return first;
}

// Where one text of each alternative stands in the end set, `text` is no end: an ordinary token
// with `attribute`.
void Vocabulary::DropFromEnd(absl::Span<const absl::string_view> when, absl::string_view text,
                             uint8_t attribute) {
  const auto in_set = [&](absl::string_view t) {
    const int32_t id = Find(t);
    return id != kNoToken && IsEndOfGeneration(id);
  };
  if (!in_set(text) || !std::all_of(when.begin(), when.end(), in_set)) return;
  const int32_t id = Find(text);
  std::erase(end_of_generation_ids_, id);
  attributes_[id] = attribute;
}

absl::Status Vocabulary::ReadEndOfGeneration(const model::GgufFile& file) {
  int32_t eot = kNoToken, eom = kNoToken;
  int32_t fim[6] = {kNoToken, kNoToken, kNoToken, kNoToken, kNoToken, kNoToken};
  RETURN_IF_ERROR(IdKey(file, "eot_token_id", eot));
  RETURN_IF_ERROR(IdKey(file, "eom_token_id", eom));
  constexpr absl::string_view kFimKeys[] = {"fim_pad_token_id", "fim_rep_token_id",
                                            "fim_sep_token_id", "fim_pre_token_id",
                                            "fim_suf_token_id", "fim_mid_token_id"};
  constexpr absl::string_view kOldFimKeys[] = {"prefix_token_id", "suffix_token_id",
                                               "middle_token_id"};  // of the last three
  const absl::Span<const absl::string_view> kFimTexts[] = {
      kFimPad, kFimRepository, kFimSeparator, kFimPrefix, kFimSuffix, kFimMiddle};
  for (int i = 0; i < 6; ++i) {
    RETURN_IF_ERROR(IdKey(file, kFimKeys[i], fim[i]));
    if (i >= 3) RETURN_IF_ERROR(IdKey(file, kOldFimKeys[i - 3], fim[i]));
    if (fim[i] == kNoToken) fim[i] = ControlByText(kFimTexts[i]);
  }
  std::vector<int32_t> ends = {fim[0], fim[1], fim[2], eos_, eot, eom};
  for (const absl::string_view& text : kEndTexts) ends.push_back(ControlByText({&text, 1}));
  std::sort(ends.begin(), ends.end());
  ends.erase(std::unique(ends.begin(), ends.end()), ends.end());
  std::erase(ends, kNoToken);
  end_of_generation_ids_ = std::move(ends);
  for (absl::string_view text : kChannelTexts) {
    if (const int32_t id = Find(text); id != kNoToken) attributes_[id] = kUserDefined;
  }
  // o200k_harmony and solar-open end with <|return|> and <|call|>; gemma4's </s> is an ordinary
  // token.
  DropFromEnd({"<|return|>", "<|call|>"}, "<|end|>", kUserDefined);
  DropFromEnd({"<|return|>", "<|calls|>"}, "<|end|>", kUserDefined);
  DropFromEnd({"<|call|>", "<|flush|>"}, "<|end|>", kUserDefined);
  DropFromEnd({"<|calls|>", "<|flush|>"}, "<|end|>", kUserDefined);
  DropFromEnd({"<|tool_response>"}, "</s>", kNormal);
  return absl::OkStatus();
}

// libllama knows by names which special tokens eat whitespace: no file says it.
absl::Status Vocabulary::MarkStripping(const model::GgufFile& file) {
  ASSIGN_OR_RETURN(const auto name, file.GetString("general.name"));
  ASSIGN_OR_RETURN(const auto pre, file.GetString("tokenizer.ggml.pre"));
  ASSIGN_OR_RETURN(const auto architecture, file.GetString("general.architecture"));
  const std::string lower = absl::AsciiStrToLower(name.value_or(""));
  const auto any_of = [](absl::string_view in, std::initializer_list<absl::string_view> texts) {
    return std::any_of(texts.begin(), texts.end(),
                       [&](absl::string_view text) { return absl::StrContains(in, text); });
  };
  const auto strip_before = [&](absl::string_view text) {
    if (const int32_t id = Find(text); id != kNoToken) attributes_[id] |= kStripSpaceBefore;
  };
  if (any_of(pre.value_or(""), {"jina-v2-de", "jina-v2-es", "jina-v2-code"}) ||
      any_of(architecture.value_or(""), {"nomic-bert-moe", "jina-bert-v3"})) {
    strip_before("<mask>");
  } else if (any_of(lower, {"phi-3", "phi3"})) {
    for (int32_t id = 0; id < size(); ++id) {
      const std::string& text = texts_[id];
      const bool special = (attributes_[id] & (kControl | kUserDefined | kUnknown)) != 0;
      if ((special || text == "</s>") && text != "<unk>" && text != "<s>" &&
          text != "<|endoftext|>") {
        attributes_[id] |= kStripSpaceAfter;
      }
    }
  } else if (any_of(lower, {"modern-bert"})) {
    strip_before("[MASK]");
  }
  return absl::OkStatus();
}

absl::Status Vocabulary::GroupSpecials(const model::GgufFile& file) {
  std::vector<int32_t> ids;
  for (int32_t id = 0; id < size(); ++id) {
    if (!(attributes_[id] & (kControl | kUserDefined | kUnknown))) continue;
    if (texts_[id].size() > kMaxSpecialBytes) {
      return Invalid(file, "tokenizer.ggml.tokens",
                     absl::StrCat("has a special token of ", texts_[id].size(), " bytes at ", id,
                                  ", at most ", kMaxSpecialBytes, " expected"));
    }
    ids.push_back(id);
  }
  // Not a stable sort, on purpose: libllama sorts the same list by the same rule, so that tokens of
  // one length come in its order wherever both use this standard library.
  std::sort(ids.begin(), ids.end(),
            [&](int32_t a, int32_t b) { return texts_[a].size() > texts_[b].size(); });
  for (const int32_t id : ids) {
    const std::string& text = texts_[id];
    if (specials_.empty() || specials_.back().bytes != text.size()) {
      specials_.emplace_back();
      specials_.back().bytes = text.size();
      specials_.back().first_bytes.resize(256);
    }
    SpecialGroup& group = specials_.back();
    group.first_bytes[static_cast<uint8_t>(text[0])] = true;
    group.ids.emplace(text, Special{id, static_cast<uint32_t>(group.ids.size())});
  }
  return absl::OkStatus();
}

std::vector<Vocabulary::Occurrence> Vocabulary::Find(const SpecialGroup& group,
                                                     absl::string_view text,
                                                     bool parse_special) const {
  std::vector<Occurrence> found;
  for (size_t at = 0; at + group.bytes <= text.size(); ++at) {
    if (!group.first_bytes[static_cast<uint8_t>(text[at])]) continue;
    const auto special = group.ids.find(text.substr(at, group.bytes));
    if (special == group.ids.end()) continue;
    if (!parse_special && (attributes_[special->second.id] & (kControl | kUnknown))) continue;
    found.push_back({at, special->second});
  }
  return found;
}

void Vocabulary::Cut(absl::string_view text, const SpecialGroup& group,
                     std::vector<Occurrence> occurrences, std::vector<Fragment>& out) const {
  // libllama goes through the text once for each special token: an earlier token's occurrences win,
  // then those further left.
  std::sort(occurrences.begin(), occurrences.end(), [](const Occurrence& a, const Occurrence& b) {
    return std::tie(a.special.rank, a.at) < std::tie(b.special.rank, b.at);
  });
  std::vector<bool> taken(text.size());
  const auto is_free_space = [&](size_t i) {
    return !taken[i] && std::isspace(static_cast<unsigned char>(text[i])) != 0;
  };
  std::vector<Occurrence> kept;
  for (const Occurrence& o : occurrences) {
    const size_t end = o.at + group.bytes;
    // What is taken was taken by tokens of the same length, or is whitespace right beside them: an
    // occurrence that overlaps it has an end in it.
    if (taken[o.at] || taken[end - 1]) continue;
    std::fill(taken.begin() + o.at, taken.begin() + end, true);
    kept.push_back(o);
    const uint8_t attributes = attributes_[o.special.id];
    if (attributes & kStripSpaceBefore) {
      for (size_t i = o.at; i > 0 && is_free_space(i - 1); --i) taken[i - 1] = true;
    }
    if (attributes & kStripSpaceAfter) {
      for (size_t i = end; i < text.size() && is_free_space(i); ++i) taken[i] = true;
    }
  }
  std::sort(kept.begin(), kept.end(),
            [](const Occurrence& a, const Occurrence& b) { return a.at < b.at; });
  const auto text_between = [&](size_t begin, size_t end) {
    while (begin < end && taken[begin]) ++begin;
    while (end > begin && taken[end - 1]) --end;
    if (end > begin) out.push_back({text.substr(begin, end - begin), kNoToken});
  };
  size_t begin = 0;
  for (const Occurrence& o : kept) {
    text_between(begin, o.at);
    out.push_back({text.substr(o.at, group.bytes), o.special.id});
    begin = o.at + group.bytes;
  }
  text_between(begin, text.size());
}

std::vector<Fragment> Vocabulary::CutSpecials(absl::string_view text, bool parse_special) const {
  std::vector<Fragment> fragments;
  if (!text.empty()) fragments.push_back({text, kNoToken});
  for (const SpecialGroup& group : specials_) {
    std::vector<Fragment> cut;
    for (const Fragment& fragment : fragments) {
      std::vector<Occurrence> found;
      if (fragment.token == kNoToken) found = Find(group, fragment.text, parse_special);
      if (found.empty()) {
        cut.push_back(fragment);
      } else {
        Cut(fragment.text, group, std::move(found), cut);
      }
    }
    fragments = std::move(cut);
  }
  return fragments;
}

}  // namespace parity::tokenizer
